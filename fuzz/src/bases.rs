//! Small sound databases, written once by the library (`examples/seeds.rs`) and kept, so that an input means the same
//! for ever.

use super::Files;
use std::io::Read;
use std::sync::OnceLock;

/// A kept database.
#[derive(Debug)]
pub struct Base {
    pub name: &'static str,
    bundle: &'static [u8],
    files: OnceLock<Files>,
}

macro_rules! bases {
    ($($name:literal),* $(,)?) => {
        [$(Base { name: $name, bundle: include_bytes!(concat!("../bases/", $name, ".lz4")), files: OnceLock::new() }),*]
    };
}

/// All of them. The position of one is part of the meaning of inputs: append only.
pub static BASES: [Base; 19] = bases![
    "empty",
    "constant",
    "dictionary8",
    "dictionary16",
    "plain_i64",
    "plain_u64",
    "plain_f64",
    "text32",
    "value32",
    "text64",
    "value64",
    "sorted",
    "segments",
    "long_text",
    "long_value",
    "logged",
    "patched",
    "patched_bitmap",
    "frozen",
];

/// The base that a byte of an input stands for.
pub fn pick(choice: u8) -> &'static Base {
    &BASES[usize::from(choice) % BASES.len()]
}

impl Base {
    /// Its files.
    pub fn files(&self) -> &Files {
        self.files.get_or_init(|| unpack(self.bundle))
    }
}

/// A bundle is one LZ4 frame of files: name length, name, content length, content; lengths are u32.
fn unpack(bundle: &[u8]) -> Files {
    let mut bytes = Vec::new();
    lz4_flex::frame::FrameDecoder::new(bundle).read_to_end(&mut bytes).expect("a bundle is one LZ4 frame");
    let mut rest = bytes.as_slice();
    let mut part = || {
        let (len, behind) = rest.split_first_chunk::<4>()?;
        let (part, behind) = behind.split_at(u32::from_le_bytes(*len) as usize);
        rest = behind;
        Some(part.to_vec())
    };
    let mut files = Files::new();
    while let Some(name) = part() {
        let content = part().expect("a name is followed by its content");
        files.insert(String::from_utf8(name).expect("names are UTF-8"), content);
    }
    files
}
