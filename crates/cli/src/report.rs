//! Results of commands as JSON objects.

use crate::json;
use std::time::Duration;
use vector_datalib::Value;

/// Builds an object, field by field.
#[derive(Debug, Default)]
pub(crate) struct Report {
    fields: Vec<(&'static str, Value)>,
}

impl Report {
    /// Without fields.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a field.
    pub(crate) fn field(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Adds the fields of another.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.fields.extend(other.fields);
        self
    }

    /// Adds a duration, in seconds rounded to microseconds.
    pub(crate) fn seconds(self, duration: Duration) -> Self {
        self.field("seconds", duration.as_micros() as f64 / 1e6)
    }

    /// The object as one line of JSON.
    pub(crate) fn to_json(&self) -> String {
        let mut out = String::new();
        json::write_map(self.fields.iter().map(|(name, value)| (*name, value)), &mut out);
        out
    }
}

impl From<Report> for Value {
    fn from(report: Report) -> Self {
        Self::Map(report.fields.into_iter().map(|(name, value)| (Self::from(name), value)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_their_order() {
        let inner = Report::new().field("name", "a");
        let report = Report::new()
            .field("z", 1)
            .field("a", Value::Array(vec![inner.into()]))
            .seconds(Duration::from_nanos(1_500_000_999));
        assert_eq!(report.to_json(), r#"{"z":1,"a":[{"name":"a"}],"seconds":1.500000}"#.replace("1.500000", "1.5"));
    }
}
