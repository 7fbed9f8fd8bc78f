//! Canonical files that are told from others by little, or cost much.

use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use rmp::encode as msgpack;
use std::io::Write as _;
use std::path::Path;
use vector_datalib::{Import, ImportReport, Result, VectorDb};

/// MessagePack, in shortest encodings.
#[derive(Default)]
struct Pack(Vec<u8>);

impl Pack {
    fn map(mut self, count: u32) -> Self {
        msgpack::write_map_len(&mut self.0, count).unwrap();
        self
    }

    fn array(mut self, count: u32) -> Self {
        msgpack::write_array_len(&mut self.0, count).unwrap();
        self
    }

    fn text(mut self, text: &str) -> Self {
        msgpack::write_str(&mut self.0, text).unwrap();
        self
    }

    fn int(mut self, int: u64) -> Self {
        msgpack::write_uint(&mut self.0, int).unwrap();
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// The start of a file, up to its spaces: `points` is an array of keys.
    fn file(points: Self) -> Self {
        Self::default().map(1).text("database").map(3).text("central_axis").map(1).text("vector_points").raw(&points.0)
    }

    fn packed(&self) -> Vec<u8> {
        let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
        let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
        encoder.write_all(&self.0).unwrap();
        encoder.finish().unwrap()
    }

    fn import(&self, import: &Import, dir: &Path) -> Result<ImportReport> {
        std::fs::write(dir.join("a.db"), self.packed()).unwrap();
        import.run(dir.join("a.db"), dir.join("a.vdb"))
    }
}

#[test]
fn values_of_a_place_whose_key_comes_again_are_lost_and_not_repaired() {
    let dir = tempfile::tempdir().unwrap();
    let file = Pack::file(Pack::default().array(3).text("a").text("b").text("a"))
        .text("dimensional_spaces")
        .map(1)
        .text("age")
        .map(1)
        .text("value_domain")
        .map(2)
        .int(1)
        .int(25)
        .int(2)
        .int(31)
        .text("coordinate_mappings")
        .map(1)
        .text("age")
        .map(1)
        .text("coordinate_to_value_id")
        // The place of the first "a", of "b", and one that was never there.
        .map(3)
        .int(0)
        .int(1)
        .int(1)
        .int(2)
        .int(7)
        .int(2);
    assert!(file.import(&Import::new(), dir.path()).unwrap_err().is_rejected());
    let report = file.import(&Import::new().salvage(true), dir.path()).unwrap();
    assert_eq!((report.points, report.cells), (2, 1));
    let losses: Vec<_> = report.losses.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(losses, [("cells", 1), ("repeated_keys", 1)]);
    assert_eq!(report.repairs.ghost_mappings, 1);
    let db = VectorDb::open(dir.path().join("a.vdb")).unwrap();
    assert_eq!(db.lookup("a", "age").unwrap(), None);
    assert_eq!(db.lookup("b", "age").unwrap(), Some(31.into()));
}

/// A mapping as releases before 1.4 wrote it, of one pair more.
fn direct(pair: Pack) -> Pack {
    Pack::file(Pack::default().array(1).text("a"))
        .text("dimensional_spaces")
        .map(1)
        .text("age")
        .map(1)
        .text("value_domain")
        .map(1)
        .int(1)
        .int(25)
        .text("coordinate_mappings")
        .map(1)
        .text("age")
        .map(2)
        .int(0)
        .int(1)
        .raw(&pair.0)
}

#[test]
fn among_pairs_what_is_no_coordinate_is_refused_as_it_is_in_the_field() {
    let dir = tempfile::tempdir().unwrap();
    for pair in [
        Pack::default().raw(&[0xCB, 0x3F, 0xF8, 0, 0, 0, 0, 0, 0]).int(1),
        Pack::default().raw(&[0xC0]).int(1),
        Pack::default().text("1x").int(1),
        Pack::default().text("ref_counts").map(0),
    ] {
        let error = direct(pair).import(&Import::new(), dir.path()).unwrap_err();
        assert!(error.to_string().contains("coordinate_mappings[\"age\"]"), "{error}");
    }
    assert!(direct(Pack::default().int(5).int(1)).import(&Import::new(), dir.path()).is_ok());
}
