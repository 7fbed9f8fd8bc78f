//! What a file is, by how it begins: names lie.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

/// What a gzip file begins with.
pub(crate) const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// What a zip file begins with.
pub(crate) const ZIP_MAGIC: &[u8] = b"PK\x03\x04";
/// What an LZ4 frame, and so a canonical file, begins with.
pub(crate) const LZ4_MAGIC: &[u8] = &[0x04, 0x22, 0x4d, 0x18];
/// What a database of SQLite begins with.
const SQLITE_MAGIC: &[u8] = b"SQLite format 3\0";
/// How much is looked at.
const START_LEN: u64 = 4096;

/// What a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// A canonical file (`.db`) of any release.
    Canonical,
    /// Text, plain or packed by gzip, or a zip archive: CSV or JSON lines, if anything that can be imported.
    Text,
    /// A database of SQLite, whose files have the same ending.
    Sqlite,
    /// Something else, or nothing.
    Other,
}

impl Content {
    /// Looks at a regular file; anything else would lose what is read from it.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(Self::Other);
        }
        Self::of_file(File::open(path)?)
    }

    /// Looks at what is read from its beginning.
    pub(crate) fn of_file(file: impl Read) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(START_LEN as usize, file);
        let start = io::BufRead::fill_buf(&mut reader)?;
        if start.starts_with(GZIP_MAGIC) {
            let mut start = Vec::new();
            // What is damaged is told by who reads it; it is as good as what comes before.
            let _damaged = MultiGzDecoder::new(reader).take(START_LEN).read_to_end(&mut start);
            return Ok(if is_packed_canonical(&start) { Self::Canonical } else { Self::of_text(&start) });
        }
        Ok(match start {
            start if start.starts_with(LZ4_MAGIC) => Self::Canonical,
            start if start.starts_with(SQLITE_MAGIC) => Self::Sqlite,
            start if start.starts_with(ZIP_MAGIC) => Self::Text,
            start => Self::of_text(start),
        })
    }

    fn of_text(start: &[u8]) -> Self {
        let text = match str::from_utf8(start) {
            Ok(text) => text,
            // A character may go on behind what was read.
            Err(error) if error.error_len().is_none() => {
                str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default()
            }
            Err(_) => "",
        };
        let is_text = |character: char| !character.is_control() || matches!(character, '\t' | '\n' | '\r');
        if !text.is_empty() && text.chars().all(is_text) { Self::Text } else { Self::Other }
    }
}

/// Whether a canonical file of an old release begins like this, inside of gzip.
pub(crate) fn is_packed_canonical(start: &[u8]) -> bool {
    is_packed_map(start) || is_packed_object(start)
}

/// A map of MessagePack, which releases 1.2 and 1.3 packed by gzip: no text begins with such a byte, nor has a zero behind it.
fn is_packed_map(start: &[u8]) -> bool {
    matches!(start, [0x80..=0x8f, ..] | [0xde | 0xdf, 0, ..])
}

/// The JSON object of releases 1.0 and 1.1: JSON lines are told from it by the first member, and the first one in that.
fn is_packed_object(start: &[u8]) -> bool {
    const METADATA: [&str; 5] = ["version", "created_at", "last_modified", "total_vector_points", "total_dimensions"];
    const DATABASE: [&str; 3] = ["central_axis", "dimensional_spaces", "coordinate_mappings"];
    let words = String::from_utf8_lossy(start);
    let mut words = words.split_ascii_whitespace().collect::<String>();
    words.truncate(words.floor_char_boundary(64));
    let begins = |member: &str, name: &&str| {
        let beginning = format!("{{\"{member}\":{{\"{name}\":");
        words.starts_with(&beginning) || (words.len() > member.len() + 4 && beginning.starts_with(&words))
    };
    METADATA.iter().any(|name| begins("metadata", name)) || DATABASE.iter().any(|name| begins("database", name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write as _;

    fn gzip(content: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_file_is_told_by_how_it_begins() {
        let cut_character = format!("a{}", "é".repeat(START_LEN as usize));
        for (start, content) in [
            (LZ4_MAGIC, Content::Canonical),
            (b"a,b\n1,2\n", Content::Text),
            (b"{\"a\":1}\n", Content::Text),
            (cut_character.as_bytes(), Content::Text),
            (b"a\0b", Content::Other),
            (b"PK\x03\x04 and more", Content::Text),
            (b"SQLite format 3\0 and more", Content::Sqlite),
            (b"", Content::Other),
            (b"\x04\x22\x4d", Content::Other),
            (b"\x81\xa1a", Content::Other),
            (b"PAR1\x15\x04", Content::Other),
        ] {
            assert_eq!(Content::of_file(start).unwrap(), content, "{start:?}");
        }
        for (start, content) in [
            (&b"\x82\xa8metadata"[..], Content::Canonical),
            (b"\xde\x00\x02\xa8metadata", Content::Canonical),
            (b"{\n  \"metadata\": {\n", Content::Canonical),
            (b" {\"database\":{\"central_axis\":", Content::Canonical),
            (b"{\"key\":1,\"metadata\":{}}", Content::Text),
            (b"{\"metadata\":1}", Content::Text),
            (b"{\"metadata\": {\"a\": 1}, \"key\": 1}\n", Content::Text),
            (b"{\"database\": {\"name\": \"x\"}}\n", Content::Text),
            (b"{\"metadata\": {\"total_vector_points\": 3", Content::Canonical),
            (b"a,b\n1,2\n", Content::Text),
            ("\u{780},b\n".as_bytes(), Content::Text),
            (b"", Content::Other),
        ] {
            assert_eq!(Content::of_file(&gzip(start)[..]).unwrap(), content, "{start:?}");
        }
        let whole = gzip(b"a,b\n1,2\n");
        assert_eq!(Content::of_file(&whole[..4]).unwrap(), Content::Other);
    }
}
