//! Writing logs (chapter `format-spec/wal.md`), right and wrong ones.

/// Bytes of the header.
pub const HEADER_LEN: usize = 128;
/// Bytes of a record's header.
pub const RECORD_HEADER_LEN: usize = 40;
pub const KIND_COMMIT: u32 = 1;
pub const KIND_MARK: u32 = 2;

/// The header of a log.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    pub database_id: [u8; 16],
    pub number: u64,
    pub salt: u64,
    pub previous_number: u64,
    pub previous_len: u64,
    pub last_sequence: u64,
}

impl Header {
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = b"VDBWALG\0".to_vec();
        bytes.extend(1u32.to_le_bytes());
        bytes.resize(24, 0);
        bytes.extend(self.database_id);
        for number in [self.number, self.salt, self.previous_number, self.previous_len, self.last_sequence] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.resize(HEADER_LEN - 4, 0);
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        bytes
    }
}

/// A record. Nothing has to make sense.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    pub sequence: u64,
    pub commit_time: i64,
    pub synced_through: u64,
    pub kind: u32,
    pub operation_count: u32,
    pub body: &'a [u8],
}

impl Record<'_> {
    /// Appends the record to a log with this salt, checksum and padding included.
    pub fn append(&self, salt: u64, log: &mut Vec<u8>) {
        let offset = log.len();
        let mut bytes = ((RECORD_HEADER_LEN + self.body.len()) as u32).to_le_bytes().to_vec();
        bytes.extend([0; 4]);
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.commit_time.to_le_bytes());
        bytes.extend(self.synced_through.to_le_bytes());
        bytes.extend(self.kind.to_le_bytes());
        bytes.extend(self.operation_count.to_le_bytes());
        bytes.extend_from_slice(self.body);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&salt.to_le_bytes());
        hasher.update(&(offset as u64).to_le_bytes());
        hasher.update(&bytes[..4]);
        hasher.update(&bytes[8..]);
        bytes[4..8].copy_from_slice(&hasher.finalize().to_le_bytes());
        log.extend(bytes);
        log.resize(log.len().next_multiple_of(8), 0);
    }
}

pub fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A length and that many bytes.
pub fn bytes(content: &[u8], out: &mut Vec<u8>) {
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Starts an operation: its code and its first number.
pub fn begin(code: u8, number: u64, out: &mut Vec<u8>) {
    out.push(code);
    varint(number, out);
}

pub const DEFINE: u8 = 1;
pub const INSERT: u8 = 2;
pub const UPDATE: u8 = 3;
pub const DELETE: u8 = 4;
