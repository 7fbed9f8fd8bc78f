//! The program's own types as attributes of points, and back.

mod errors;
mod rich;
mod rules;

use std::sync::Arc;
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{CompactOptions, Options, VectorDb, attrs};

fn create() -> VectorDb {
    Options::new().create_in(Arc::new(MemoryStorage::new())).unwrap()
}

/// Where the cells of a point are.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Tier {
    Overlay,
    Patch,
    Base,
}

const TIERS: [Tier; 3] = [Tier::Overlay, Tier::Patch, Tier::Base];

/// A database with a base that patches are small beside.
fn with_base() -> VectorDb {
    let db = create();
    db.batch_upsert((0..2000).map(|n| (-n - 1, attrs! { "small" => n % 7, "other" => format!("other {n}") }))).unwrap();
    db.compact(&CompactOptions::new()).unwrap();
    db
}

/// Brings what was committed there.
fn settle(db: &VectorDb, tier: Tier) {
    match tier {
        Tier::Overlay => {}
        Tier::Patch => {
            db.save().unwrap();
            assert_eq!(db.stats().unwrap().patches, 1);
        }
        Tier::Base => db.compact(&CompactOptions::new()).unwrap(),
    }
}
