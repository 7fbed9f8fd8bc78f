//! Everything that a database holds, to be compared.

use super::order::compare;
use vector_datalib::{Value, VectorDb};

/// A point: its coordinate, its key, its attributes in the order of dimensions.
pub(crate) type Point = (u64, Value, Vec<(String, Value)>);

/// A database as a list.
#[derive(Debug)]
pub(crate) struct Contents {
    pub(crate) dimensions: Vec<String>,
    pub(crate) slots: u64,
    pub(crate) points: Vec<Point>,
}

impl Contents {
    /// Reads all of a database.
    pub(crate) fn of(db: &VectorDb) -> Self {
        let snapshot = db.snapshot();
        let points = snapshot.iter().map(|point| {
            let point = point.expect("a sound database");
            let attributes = point.attributes().map(|attribute| {
                let (name, value) = attribute.expect("a sound database");
                (name.to_owned(), value.to_value().expect("a sound value"))
            });
            (u64::from(point.coordinate().0), point.key().to_value(), attributes.collect())
        });
        let points: Vec<Point> = points.collect();
        assert_eq!(points.len() as u64, snapshot.len());
        Self { dimensions: db.dimensions(), slots: snapshot.slot_count(), points }
    }

    /// What differs first; `None` where nothing does. Types are strict, and floats are equal when their bits are.
    pub(crate) fn difference(&self, expected: &Self) -> Option<String> {
        if self.dimensions != expected.dimensions {
            return Some(format!("dimensions {:?} instead of {:?}", self.dimensions, expected.dimensions));
        }
        if self.slots != expected.slots {
            return Some(format!("{} slots instead of {}", self.slots, expected.slots));
        }
        points_difference(&self.points, &expected.points)
    }
}

/// What differs first in the points.
pub(crate) fn points_difference(found: &[Point], expected: &[Point]) -> Option<String> {
    if let Some((found, expected)) = found.iter().zip(expected).find(|(found, expected)| !same_point(found, expected)) {
        return Some(format!("the point {} instead of {}", shortened(found), shortened(expected)));
    }
    (found.len() != expected.len()).then(|| format!("{} points instead of {}", found.len(), expected.len()))
}

fn same_point(a: &Point, b: &Point) -> bool {
    let same_attribute =
        |((a_name, a), (b_name, b)): (&(String, Value), &(String, Value))| a_name == b_name && compare(a, b).is_eq();
    a.0 == b.0 && compare(&a.1, &b.1).is_eq() && a.2.len() == b.2.len() && a.2.iter().zip(&b.2).all(same_attribute)
}

fn shortened(point: &Point) -> String {
    format!("{point:?}").chars().take(600).collect()
}
