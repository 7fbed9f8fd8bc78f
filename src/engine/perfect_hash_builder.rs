//! Building the perfect hash of a frozen axis, part after part, in bounded memory: the hashes of keys are dealt out to parts, and those of
//! one part at a time are in memory.

use super::column_builder::Values;
use super::numbering::Build;
use super::perfect_hash::PerfectHashSections;
use super::pilot_search::{Failed, HashedKey, PilotSearch};
use super::spill::{StreamId, StreamReader};
use crate::error::Result;
use crate::format::perfect_hash::{Part, encode_parts, number_of};
use crate::format::value;

/// Keys of a part, about.
const PART_KEYS: u64 = 1 << 16;
/// Keys of two buckets, about.
const KEYS_OF_TWO_BUCKETS: u64 = 5;
/// A part has a place more for so many keys, so that pilots are found.
const KEYS_A_SPARE: u32 = 64;
/// More of them, as few keys need.
const SPARES_MIN: u32 = 16;
/// Seeds of a part to try before all begins again.
const PART_TRIES: u32 = 16;
/// Seeds of the hash of keys to try before it is given up.
const HASH_TRIES: u64 = 8;
/// Bytes of a key that is dealt out.
const ENTRY_LEN: usize = 12;

/// A perfect hash in memory: about half a byte a key.
#[derive(Debug)]
pub(super) struct BuiltPerfectHash {
    hash_seed: u64,
    parts: Vec<Part>,
    pilots: Vec<u8>,
    remap: Vec<u32>,
}

impl BuiltPerfectHash {
    pub(super) fn sections(&self) -> PerfectHashSections<'_> {
        PerfectHashSections {
            hash_seed: self.hash_seed,
            part_count: self.parts.len() as u32,
            parts: encode_parts(&self.parts).into(),
            pilots: &self.pilots,
            remap: self.remap.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<_>>().into(),
        }
    }
}

/// Builds a perfect hash of `order.len()` keys, and puts the slot that each key has so far in the place of its rank. `None` where none was
/// found, as where keys have the same hash under every seed.
pub(super) fn build_perfect_hash(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    order: &mut [u32],
) -> Result<Option<BuiltPerfectHash>> {
    for tries in 0..HASH_TRIES {
        let hash_seed = build.hash_seed.wrapping_add(tries);
        if let Some(built) = try_seed(build, keys, hash_seed, order)? {
            return Ok(Some(built));
        }
    }
    Ok(None)
}

fn try_seed(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    hash_seed: u64,
    order: &mut [u32],
) -> Result<Option<BuiltPerfectHash>> {
    let key_count = order.len() as u64;
    let part_count = key_count.div_ceil(PART_KEYS).max(1);
    let part_buckets = (key_count.div_ceil(part_count) * 2).div_ceil(KEYS_OF_TWO_BUCKETS).max(1) as usize;
    let streams = deal_out(build, keys, hash_seed, part_count)?;
    let mut built = BuiltPerfectHash {
        hash_seed,
        parts: Vec::with_capacity(streams.len()),
        pilots: vec![0; streams.len() * part_buckets],
        remap: Vec::new(),
    };
    let bucket_count = built.pilots.len() as u64;
    let (mut search, mut hashed) = (PilotSearch::default(), Vec::new());
    let mut first_slot = 0u32;
    for ((number, &stream), pilots) in streams.iter().enumerate().zip(built.pilots.chunks_mut(part_buckets)) {
        read_part(build, stream, &mut hashed)?;
        let first_bucket = number * part_buckets;
        let bucket_of = |hash| (number_of(hash, bucket_count) as usize).saturating_sub(first_bucket);
        let found = match search.group(&hashed, part_buckets, bucket_of) {
            Ok(()) => find_pilots(&mut search, hashed.len() as u32, pilots),
            Err(Failed::SameHash | Failed::TooManySteps) => None,
        };
        let Some((seed, place_count)) = found else {
            streams.iter().for_each(|&stream| build.spill.clear(stream));
            return Ok(None);
        };
        build.spill.clear(stream);
        let key_count = hashed.len() as u32;
        let first_remap = built.remap.len() as u32;
        built.parts.push(Part { seed, first_slot, first_remap, key_count, place_count });
        let remap = search.remap(key_count);
        search.for_each_key(pilots, |place, slot| {
            let local = match place.checked_sub(key_count) {
                Some(past) => remap.get(past as usize).copied().unwrap_or_default(),
                None => place,
            };
            if let Some(old) = order.get_mut((first_slot + local) as usize) {
                *old = slot;
            }
        });
        built.remap.extend(remap);
        first_slot += key_count;
        build.meter.add(key_count.into())?;
    }
    Ok(Some(built))
}

/// Finds a seed and the number of places of a part whose keys are grouped, and its pilots.
fn find_pilots(search: &mut PilotSearch, key_count: u32, pilots: &mut [u8]) -> Option<(u64, u32)> {
    let mut spares = SPARES_MIN + key_count / KEYS_A_SPARE;
    for tries in 0..PART_TRIES {
        // Seeds are multiples of a number whose bits are spread, as they are applied to hashes.
        let seed = u64::from(tries).wrapping_mul(0xA24B_AED4_963E_E407);
        let place_count = key_count.saturating_add(spares);
        match search.search(seed, place_count, pilots) {
            Ok(()) => return Some((seed, place_count)),
            Err(Failed::SameHash) => return None,
            Err(Failed::TooManySteps) => spares += spares * (tries % 2),
        }
    }
    None
}

/// Deals out the hashes and slots of keys to parts.
fn deal_out(
    build: &mut Build<'_, '_>,
    keys: &mut dyn Values,
    hash_seed: u64,
    part_count: u64,
) -> Result<Vec<StreamId>> {
    let streams: Vec<StreamId> = (0..part_count).map(|_| build.spill.stream()).collect();
    keys.rewind();
    while let Some((slot, key)) = keys.next()? {
        let hash = value::hash(key, hash_seed);
        let mut entry = [0; ENTRY_LEN];
        let (first, last) = entry.split_at_mut(8);
        first.copy_from_slice(&hash.to_le_bytes());
        last.copy_from_slice(&slot.to_le_bytes());
        if let Some(&stream) = streams.get(number_of(hash, part_count) as usize) {
            build.spill.append(stream, &entry)?;
        }
        build.meter.step()?;
    }
    Ok(streams)
}

fn read_part(build: &Build<'_, '_>, stream: StreamId, hashed: &mut Vec<HashedKey>) -> Result<()> {
    hashed.clear();
    let mut reader = StreamReader::new(stream);
    while let Some(hash) = reader.u64(&build.spill)? {
        hashed.push((hash, reader.u32(&build.spill)?.unwrap_or(u32::MAX)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::axis_builder::AxisBuilder;
    use super::super::base_axis::BaseAxis;
    use super::super::block_file::BlockFile;
    use super::super::block_writer::{BlockWriter, FileSpec, Unsynced};
    use super::super::meter::Meter;
    use super::*;
    use crate::format::block_file::{AXIS_MAGIC, Identity, NO_DIMENSION};
    use crate::model::{Key, ValueRef};
    use crate::storage::MemoryStorage;
    use std::sync::Arc;

    struct Keys<'k>(&'k [Key], usize);

    impl Values for Keys<'_> {
        fn rewind(&mut self) {
            self.1 = 0;
        }

        fn next(&mut self) -> Result<Option<(u32, ValueRef<'_>)>> {
            let Some(key) = self.0.get(self.1) else { return Ok(None) };
            self.1 += 1;
            Ok(Some((self.1 as u32 - 1, key.as_ref().value())))
        }
    }

    fn with_build<T>(limit: usize, work: impl FnOnce(&mut Build<'_, '_>) -> T) -> T {
        let mut ignore = crate::progress::ignore;
        let mut meter = Meter::new(&mut ignore, "", 0);
        work(&mut Build::new(Arc::new(MemoryStorage::new()), limit, 5, &mut meter))
    }

    fn built(keys: &[Key], limit: usize) -> Option<(BuiltPerfectHash, Vec<u32>)> {
        let mut order = vec![u32::MAX; keys.len()];
        let built = with_build(limit, |build| build_perfect_hash(build, &mut Keys(keys, 0), &mut order)).unwrap();
        built.map(|built| (built, order))
    }

    /// An axis file in which the keys have their ranks as slots.
    fn axis(built: &BuiltPerfectHash, keys: &[Key]) -> BaseAxis {
        let storage = MemoryStorage::new();
        let (identity, unsynced) = (Identity { database_id: [1; 16], file_id: 7 }, Unsynced::default());
        let writer = BlockWriter::create(FileSpec {
            storage: &storage,
            unsynced: &unsynced,
            name: "axis".to_owned(),
            magic: AXIS_MAGIC,
            identity,
            generation: 3,
            dimension_id: NO_DIMENSION,
        });
        let entry = with_build(1 << 20, |build| {
            let mut keys = Keys(keys, 0);
            let slot_count = keys.0.len() as u32;
            let builder = AxisBuilder::new(build, &mut keys, slot_count).unwrap();
            builder.with_perfect_hash(Some(built.sections())).write(build, writer.unwrap()).unwrap()
        });
        let file = BlockFile::open(&storage, "axis", entry, &AXIS_MAGIC, identity.database_id, NO_DIMENSION);
        BaseAxis::new(file.map_err(|error| error.into_error()).unwrap())
    }

    fn scatter(n: u64) -> u64 {
        let n = (n ^ (n >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        n ^ (n >> 27)
    }

    /// The rank of each key is a slot of its own, and what is read from the file says so.
    fn check(name: &str, keys: &[Key], missing: &[Key]) {
        let (built, order) = built(keys, 1 << 24).unwrap_or_else(|| panic!("no function of {} {name}", keys.len()));
        let mut slots = order.clone();
        slots.sort_unstable();
        assert!(slots.iter().copied().eq(0..keys.len() as u32), "{} {name}: each slot once", keys.len());
        if keys.is_empty() {
            return;
        }
        let ordered: Vec<Key> = order.iter().map(|&old| keys[old as usize].clone()).collect();
        let axis = axis(&built, &ordered);
        // One integer needs no index.
        assert!(axis.describe().unwrap() == "frozen" || keys.len() == 1);
        for (slot, key) in (0..).zip(&ordered) {
            assert_eq!(axis.slot_of(key.as_ref()).unwrap(), Some(slot), "{} {name}: {key}", keys.len());
        }
        for key in missing {
            assert_eq!(axis.slot_of(key.as_ref()).unwrap(), None, "{} {name}: {key}", keys.len());
        }
        let pilots = built.pilots.len() as f64 / keys.len() as f64;
        assert!(keys.len() < 1000 || pilots < 0.41, "{pilots} pilots a key");
        // A sixty-fourth, and sixteen for each part.
        assert!(built.remap.len() <= keys.len() / 64 + 16 * built.parts.len(), "{} in the remap", built.remap.len());
    }

    #[test]
    fn ranks_are_the_slots_of_all_keys_and_lead_to_no_others() {
        for count in [0u64, 1, 2, 3, 10, 100, 1000, 65_536, 65_537, 300_000] {
            let missing: Vec<Key> = (0..1000).map(|n| Key::from(scatter(n + (1 << 40)))).collect();
            let random: Vec<Key> = (0..count).map(|n| Key::from(scatter(n + 1))).collect();
            check("random integers", &random, &missing);
            let steps: Vec<Key> = (0..count).map(|n| Key::from(n << 20)).collect();
            check("multiples of a power of two", &steps, &missing);
            let texts: Vec<Key> = (0..count.min(70_000)).map(|n| Key::from(format!("key {n}"))).collect();
            check("texts", &texts, &missing);
            let mixed = (0..count.min(70_000)).map(|n| match n % 4 {
                0 => Key::from(n),
                1 => Key::from(n as f64),
                2 => Key::from(format!("{n}").into_bytes()),
                _ => Key::from(-(n as i64)),
            });
            check("keys of many types", &mixed.collect::<Vec<_>>(), &missing);
        }
    }

    #[test]
    fn the_function_does_not_depend_on_the_memory_budget() {
        let keys: Vec<Key> = (0..200_000).map(|n| Key::from(scatter(n))).collect();
        let (little, order) = built(&keys, 1).unwrap();
        let (much, same_order) = built(&keys, 1 << 28).unwrap();
        assert_eq!((&*little.sections().parts, &*little.pilots), (&*much.sections().parts, &*much.pilots));
        assert!(little.remap == much.remap && order == same_order);
    }

    /// As a damaged axis may have it; nobody can tell the two apart.
    #[test]
    fn a_key_that_is_there_twice_ends_the_search() {
        let mut keys: Vec<Key> = (0..1000u64).map(Key::from).collect();
        keys.push(Key::from(7));
        assert!(built(&keys, 1 << 20).is_none());
    }

    #[test]
    fn a_part_whose_pilots_are_hard_to_find_gets_another_seed_and_more_places() {
        // A bucket of more keys than pilots send to different places: only more places help.
        let keys: Vec<HashedKey> = (0..60).map(|n| (scatter(n + 1), n as u32)).collect();
        let mut search = PilotSearch::default();
        search.group(&keys, 1, |_| 0).unwrap();
        let mut pilots = [0];
        assert_eq!(search.search(0, 60 + 16, &mut pilots), Err(Failed::TooManySteps));
        let (_, place_count) = find_pilots(&mut search, 60, &mut pilots).unwrap();
        assert!(place_count > 60 + 17, "{place_count}");
        let mut places = Vec::new();
        search.for_each_key(&pilots, |place, _| places.push(place));
        places.sort_unstable();
        assert!(places.len() == 60 && places.array_windows::<2>().all(|[a, b]| a < b));
    }
}
