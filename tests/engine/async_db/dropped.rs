//! Futures dropped at random leave no half write, and what was acknowledged is there.

use super::{create, on_one_thread, on_threads, poll};
use crate::support::environment;
use crate::support::random::Random;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::{JoinSet, yield_now};
use vector_datalib::internals::MemoryStorage;
use vector_datalib::{AsyncVectorDb, Options, Result, VectorDb, attrs};

const FUTURES: u64 = 10_000;
const TASKS: u64 = 20;
/// Keys of a batch lie together, from its number times this on.
const KEYS: u64 = 8;

/// What the writer of a batch knows of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// Its future was never polled.
    Never,
    /// It was dropped after it was polled.
    Unknown,
    Acknowledged,
}

/// Awaits a future, or drops it somewhere on the way.
async fn some_of<T>(mut future: impl Future<Output = Result<T>> + Unpin, random: &mut Random) -> Fate {
    let result = match random.below(6) {
        0 => return Fate::Never,
        1 => match poll(&mut future) {
            std::task::Poll::Ready(result) => Some(result),
            std::task::Poll::Pending => None,
        },
        2 => {
            let yields = random.below(20);
            let pause = async {
                for _ in 0..yields {
                    yield_now().await;
                }
            };
            tokio::select! { result = &mut future => Some(result), () = pause => None }
        }
        3 => {
            let limit = Duration::from_micros(random.below(2000) as u64);
            tokio::time::timeout(limit, &mut future).await.ok()
        }
        _ => Some(future.await),
    };
    result.map_or(Fate::Unknown, |result| result.map(|_| Fate::Acknowledged).unwrap())
}

/// A batch: its keys, what became of it, and of its deletion, if that was tried.
#[derive(Debug)]
struct Batch {
    number: u64,
    count: u64,
    written: Fate,
    deleted: Option<Fate>,
}

impl Batch {
    fn keys(&self) -> impl Iterator<Item = u64> + use<> {
        let first = self.number * KEYS;
        first..first + self.count
    }

    async fn run(db: &AsyncVectorDb, number: u64, random: &mut Random) -> Self {
        let mut batch = Self { number, count: 2 + random.below(5) as u64, written: Fate::Never, deleted: None };
        let records = batch.keys().map(|key| (key, attrs! { "batch" => number, "key" => key }));
        batch.written = some_of(db.batch_upsert(records), random).await;
        if random.one_in(4) {
            batch.deleted = Some(some_of(db.batch_delete(batch.keys()), random).await);
        }
        batch
    }

    /// How many of the batch's points are there.
    fn found(&self, db: &VectorDb) -> u64 {
        let is_there = |key: &u64| {
            let value = db.lookup(*key, "batch").unwrap();
            assert!(value.is_none() || value == Some(self.number.into()), "{value:?} in {self:?}");
            assert_eq!(db.lookup(*key, "key").unwrap(), value.map(|_| (*key).into()), "{self:?}");
            db.contains(*key).unwrap()
        };
        self.keys().filter(is_there).count() as u64
    }

    fn check(&self, db: &VectorDb) {
        let found = self.found(db);
        assert!(found == 0 || found == self.count, "{found} points of {self:?}");
        let is_there = found > 0;
        match (self.written, self.deleted) {
            (Fate::Never, _) | (_, Some(Fate::Acknowledged)) => assert!(!is_there, "{self:?} is there"),
            (Fate::Acknowledged, None | Some(Fate::Never)) => assert!(is_there, "{self:?} is lost"),
            (Fate::Unknown, _) | (_, Some(Fate::Unknown)) => {}
        }
    }
}

fn run(runtime: &Runtime, seed: u64) {
    let storage = Arc::new(MemoryStorage::new());
    // Checkpoints come in between.
    let db = create(storage.clone(), &Options::new().auto_checkpoint(Some(100_000)));
    let batches = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (db, mut random) = (db.clone(), Random::new(seed * TASKS + task));
            tasks.spawn(async move {
                let mut batches = Vec::new();
                for n in 0..FUTURES / TASKS {
                    batches.push(Batch::run(&db, task * FUTURES + n, &mut random).await);
                }
                batches
            });
        }
        let batches: Vec<Batch> = tasks.join_all().await.into_iter().flatten().collect();
        db.close().await.unwrap();
        batches
    });
    assert_eq!(batches.len() as u64, FUTURES);
    let db = Options::new().open_in(storage).unwrap();
    assert!(db.verify().unwrap().is_sound());
    for batch in &batches {
        batch.check(&db);
    }
    let of = |fate| batches.iter().filter(|batch| batch.written == fate).count();
    let (never, unknown, acknowledged) = (of(Fate::Never), of(Fate::Unknown), of(Fate::Acknowledged));
    println!("seed {seed}: {never} never polled, {unknown} dropped on the way, {acknowledged} acknowledged");
    assert!(unknown > 500 && acknowledged > 500, "the test drops too few, or too many");
    assert_eq!(db.len(), batches.iter().map(|batch| batch.found(&db)).sum::<u64>());
}

#[test]
fn ten_thousand_futures_dropped_at_random_leave_no_half_write() {
    let seed = environment("VECTOR_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("again with VECTOR_SEED={seed} cargo test --test engine dropped_at_random");
    run(&on_one_thread(), seed);
    run(&on_threads(), seed);
}
