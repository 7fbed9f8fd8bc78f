//! What the tests of the engine share: seeded randomness, and an order of values that owes nothing to the engine.

pub(crate) mod contents;
pub(crate) mod order;
pub(crate) mod random;
pub(crate) mod refusing;
pub(crate) mod values;

use std::str::FromStr;

/// A number from the environment, decimal.
pub(crate) fn environment<T: FromStr>(name: &str) -> Option<T> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text} is not a number")))
}

/// Says that a test did not run, and why, past the capturing of output: `.ci/run` prints these lines and fails on any.
pub(crate) fn skip(reason: &str) {
    use std::io::Write as _;
    let name = std::thread::current().name().unwrap_or("a test").to_owned();
    let _nobody_listens = writeln!(std::io::stderr(), "SKIPPED: {name}: {reason}");
}
