//! Imports off the reactor.

use super::{AsyncVectorDb, PendingWork};
use crate::engine::ImportReport;
use crate::import::Import;
use crate::progress::{self, Progress};
use std::ops::ControlFlow;
use std::path::PathBuf;

impl AsyncVectorDb {
    /// [`VectorDb::import`](crate::VectorDb::import).
    ///
    /// # Errors
    /// Those of [`Import::run`].
    pub fn import(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> PendingWork<ImportReport> {
        Self::import_with(&Import::new(), source, target, progress::ignore)
    }

    /// [`Import::run_with`].
    ///
    /// # Errors
    /// Those of [`Import::run_with`].
    pub fn import_with(
        import: &Import,
        source: impl Into<PathBuf>,
        target: impl Into<PathBuf>,
        progress: impl FnMut(Progress) -> ControlFlow<()> + Send + 'static,
    ) -> PendingWork<ImportReport> {
        let (import, source, target) = (import.clone(), source.into(), target.into());
        PendingWork::new(move |cancelled| import.run_with(source, target, &mut cancelled.or(progress)))
    }
}
