//! `--limit NAME=VALUE`: what a `.db` file may have, by the names of the fields of [`ImportLimits`].

use vector_datalib::ImportLimits;

/// A limit: its name on the command line, and its field.
struct Limit {
    name: &'static str,
    field: fn(&mut ImportLimits) -> &mut u64,
}

const LIMITS: [Limit; 10] = [
    Limit { name: "file-len", field: |limits| &mut limits.file_len },
    Limit { name: "inflated-len", field: |limits| &mut limits.inflated_len },
    Limit { name: "inflated-ratio", field: |limits| &mut limits.inflated_ratio },
    Limit { name: "depth", field: |limits| &mut limits.depth },
    Limit { name: "string-len", field: |limits| &mut limits.string_len },
    Limit { name: "name-len", field: |limits| &mut limits.name_len },
    Limit { name: "names-len", field: |limits| &mut limits.names_len },
    Limit { name: "dimensions", field: |limits| &mut limits.dimensions },
    Limit { name: "points", field: |limits| &mut limits.points },
    Limit { name: "values", field: |limits| &mut limits.values },
];

/// Factors that a number can have behind it.
const UNITS: [(&str, u64); 4] = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40)];

/// What an option says: the place of a limit in the list, and its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct LimitOption {
    index: usize,
    value: u64,
}

/// What a limit is called on the command line, where the library calls it `field`.
pub(crate) fn name_of(field: &str) -> String {
    field.replace('_', "-")
}

/// Reads `NAME=VALUE`.
pub(crate) fn parse(text: &str) -> Result<LimitOption, String> {
    let (name, number) = text.split_once('=').ok_or("NAME=VALUE is expected, as in string-len=1MiB")?;
    let name = name_of(name);
    let index = LIMITS.iter().position(|limit| limit.name == name).ok_or_else(|| {
        let names: Vec<_> = LIMITS.iter().map(|limit| limit.name).collect();
        format!("there is no limit {name:?}; there are {}", names.join(", "))
    })?;
    let unit = UNITS.iter().find_map(|(unit, factor)| Some((number.strip_suffix(unit)?, *factor)));
    let (digits, factor) = unit.unwrap_or((number, 1));
    let value = digits.trim_end().parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    let value = value.ok_or("a whole number is expected, with KiB, MiB, GiB or TiB behind it or not")?;
    Ok(LimitOption { index, value })
}

/// The defaults with what options say.
pub(crate) fn limits(options: &[LimitOption]) -> ImportLimits {
    let mut limits = ImportLimits::default();
    for option in options {
        *(LIMITS[option.index].field)(&mut limits) = option.value;
    }
    limits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::IMPORT_HELP;

    #[test]
    fn limits_are_set_by_name_in_numbers_and_units() {
        let parsed =
            ["points=5", "string_len=2MiB", "string-len=3 KiB", "inflated-len=1TiB"].map(|text| parse(text).unwrap());
        let limits = limits(&parsed);
        assert_eq!((limits.points, limits.string_len, limits.inflated_len), (5, 3 << 10, 1 << 40));
        assert_eq!(limits.depth, ImportLimits::default().depth);
    }

    #[test]
    fn every_limit_of_the_library_has_a_name() {
        let shown = format!("{:?}", ImportLimits::default());
        let fields: Vec<_> = shown
            .split(['{', ','])
            .filter_map(|part| part.split_once(": "))
            .map(|(name, _)| name_of(name.trim()))
            .collect();
        assert_eq!(fields, LIMITS.map(|limit| limit.name));
    }

    #[test]
    fn the_help_has_every_limit_and_its_default() {
        let mut defaults = ImportLimits::default();
        for limit in LIMITS {
            let default = *(limit.field)(&mut defaults);
            let unit = UNITS.iter().rev().find(|(_, factor)| default.is_multiple_of(*factor));
            let default = unit.map_or(default.to_string(), |(unit, factor)| format!("{}{unit}", default / factor));
            let lines = IMPORT_HELP.lines().filter(|line| line.trim_start().starts_with(&format!("{} ", limit.name)));
            let lines: Vec<_> = lines.collect();
            assert!(
                lines.len() == 1 && lines[0].contains(&format!(": {default}]")),
                "{} {default}: {lines:?}",
                limit.name
            );
        }
    }

    #[test]
    fn what_is_no_limit_is_refused() {
        for (text, words) in [
            ("points", "NAME=VALUE"),
            ("speed=5", "there are file-len, "),
            ("points=", "a whole number"),
            ("points=-1", "a whole number"),
            ("points=1.5", "a whole number"),
            ("points=5MB", "a whole number"),
            ("points=20000000TiB", "a whole number"),
        ] {
            let refusal = parse(text).unwrap_err();
            assert!(refusal.contains(words), "{text}: {refusal}");
        }
    }
}
