//! What the bytes of a log vouch for, read without the engine's code: record headers as `format-spec/wal.md` has them.

use super::fixture::Files;

/// The first record follows.
pub(crate) const HEADER_LEN: usize = 128;

/// A range of a log whose bytes, as long as they are what was written, say that commits up to `sequence` were durable.
pub(crate) struct Voucher {
    file: String,
    from: usize,
    to: usize,
    sequence: u64,
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// The number of a log.
pub(crate) fn number(name: &str) -> Option<u64> {
    name.strip_prefix("wal-")?.strip_suffix(".log")?.parse().ok()
}

/// The vouchers of all logs: their headers, and their records.
pub(crate) fn vouchers(files: &Files) -> Vec<Voucher> {
    let mut vouchers = Vec::new();
    for (name, bytes) in files.iter().filter(|(name, _)| number(name).is_some()) {
        let mut add = |from, to, sequence| vouchers.push(Voucher { file: name.clone(), from, to, sequence });
        add(0, HEADER_LEN, u64_at(bytes, 72));
        let mut at = HEADER_LEN;
        while at + 40 <= bytes.len() {
            let len = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
            if len == 0 {
                break;
            }
            add(at, at + len, u64_at(bytes, at + 24));
            at += len.next_multiple_of(8);
        }
    }
    vouchers
}

/// The last commit that a directory still says was durable, where it has the bytes of `original`.
pub(crate) fn vouched(vouchers: &[Voucher], original: &Files, files: &Files) -> u64 {
    let range = |files: &Files, voucher: &Voucher| -> Option<Vec<u8>> {
        files.get(&voucher.file)?.get(voucher.from..voucher.to).map(<[u8]>::to_vec)
    };
    let survivors = vouchers.iter().filter(|voucher| range(files, voucher) == range(original, voucher));
    survivors.map(|voucher| voucher.sequence).max().unwrap_or(0)
}

/// Cuts off the zeros behind the records, but for a few.
pub(crate) fn trim(files: &mut Files) {
    const REST_LEN: usize = 512;
    for (_, bytes) in files.iter_mut().filter(|(name, _)| number(name).is_some()) {
        let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        bytes.truncate(end + REST_LEN);
    }
}
