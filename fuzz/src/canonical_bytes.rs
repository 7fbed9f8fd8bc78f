//! Target `canonical_bytes`: the import of any bytes.
//!
//! Input: flags, then the file or what it holds.

use super::imports::{self, BUDGET, BUDGET_SMALL};
use super::input::Input;
use super::node::Xorshift;
use super::{packing, probe};
use vector_datalib::{Import, ImportLimits};

/// What follows is the content of an LZ4 frame; without any of the two flags it is the file.
pub const FLAG_LZ4: u8 = 1;
/// What follows is the content of gzip: MessagePack, or JSON if it starts so.
pub const FLAG_GZIP: u8 = 2;
/// Save what can be saved.
pub const FLAG_SALVAGE: u8 = 4;
/// With memory enough for everything.
pub const FLAG_MEMORY: u8 = 8;
/// Change what was imported.
pub const FLAG_CHANGE: u8 = 16;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.u8();
    let content = input.rest();
    let style = &mut Xorshift::new(0);
    let file = match flags & (FLAG_LZ4 | FLAG_GZIP) {
        FLAG_LZ4 => packing::lz4(content, style),
        FLAG_GZIP => packing::gzip(content, style),
        _ => content.to_vec(),
    };
    let [budget, other_budget] = match flags & FLAG_MEMORY {
        0 => [BUDGET_SMALL, BUDGET],
        _ => [BUDGET, BUDGET_SMALL],
    };
    let import = Import::new().memory_budget(budget).limits(limits()).salvage(flags & FLAG_SALVAGE != 0);
    match imports::import(&import, file) {
        Ok((report, files)) => {
            imports::check_sound(&report, &files, &Import::new().memory_budget(other_budget));
            if flags & FLAG_CHANGE != 0 {
                let (db, _) = probe::open(files).expect("what was imported opens");
                probe::change_everything(&db);
                assert!(probe::verify(&db), "a sound database");
            }
        }
        Err(error) => drop(imports::check_refusal(&error)),
    }
}

/// For files of strangers, and small enough that everything can be compared.
fn limits() -> ImportLimits {
    let mut limits = ImportLimits::default();
    limits.inflated_len = 1 << 20;
    limits.string_len = 1 << 18;
    limits.dimensions = 256;
    limits.points = 4096;
    limits.values = 10_000;
    limits
}
