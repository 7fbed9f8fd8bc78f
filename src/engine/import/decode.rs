//! From a file to a sink, whatever the file is packed in.

use crate::error::Error;
use crate::format::canonical::read::contents;
use crate::format::canonical::read::frame::{self, LzFrame};
use crate::format::canonical::read::input::Input;
use crate::format::canonical::read::msgpack::MessagePack;
use crate::format::canonical::read::sink::{ReadError, Sink};
use crate::format::canonical::read::tokens::Tokens;
use crate::format::canonical::read::{ImportLimits, Refused};
use crate::progress::{Progress, ProgressFn};
use crate::storage::{SourceFile, StorageError};
use std::io::BufRead;
use std::ops::ControlFlow;
use std::path::Path;

const GZIP_MAGIC: [u8; 2] = [0x1F, 0x8B];

/// How a file is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Container {
    Lz4,
    #[cfg(feature = "legacy-import")]
    GzipMessagePack,
    #[cfg(feature = "legacy-import")]
    GzipJson,
}

impl Container {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "LZ4(MessagePack)",
            #[cfg(feature = "legacy-import")]
            Self::GzipMessagePack => "gzip(MessagePack)",
            #[cfg(feature = "legacy-import")]
            Self::GzipJson => "gzip(JSON)",
        }
    }
}

/// How a file was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decoded {
    pub(super) container: Container,
    /// Bytes of the file behind its content.
    pub(super) trailing: u64,
}

/// Reads a whole file. Progress is told in bytes of content, and often, however many of them are in a byte of the file.
pub(super) fn decode<S: Sink<Error = Error>>(
    source: &SourceFile,
    limits: &ImportLimits,
    sink: &mut S,
    (phase, progress): (&'static str, &mut ProgressFn<'_>),
) -> Result<Decoded, Error> {
    let watch = |done, total| progress(Progress { phase, done, total, unit: "bytes" });
    decode_file(source, limits, sink, watch).map_err(|error| match error {
        ReadError::Sink(error) => error,
        ReadError::Refused(refused) => refusal(source.path(), refused),
    })
}

/// What a refusal is to the user.
pub(super) fn refusal(path: &Path, refused: Refused) -> Error {
    match refused {
        Refused::Io(source) => StorageError::new(path, "read", source).into(),
        Refused::Malformed { place, reason } => Error::Rejected {
            path: path.to_owned(),
            place: place.to_string(),
            reason: reason.into_owned(),
            salvage: false,
        },
        Refused::Torn { place, reason } => Error::Rejected {
            path: path.to_owned(),
            place: place.to_string(),
            reason: reason.into_owned(),
            salvage: true,
        },
        Refused::Cancelled => Error::Cancelled,
        Refused::Limit { limit, value, allowed } => Error::Limit { path: path.to_owned(), limit, value, allowed },
    }
}

fn decode_file<S: Sink<Error = Error>>(
    source: &SourceFile,
    limits: &ImportLimits,
    sink: &mut S,
    watch: impl FnMut(u64, Option<u64>) -> ControlFlow<()>,
) -> Result<Decoded, ReadError<Error>> {
    let len = source.len();
    if len > limits.file_len {
        return Err(Refused::Limit { limit: "file_len", value: len, allowed: limits.file_len }.into());
    }
    let mut reader = source.reader();
    let start: Vec<u8> = reader.fill_buf().map_err(Refused::Io)?.iter().take(4).copied().collect();
    if start.is_empty() {
        return Err(Refused::file(0, "the file is empty").into());
    }
    if start.starts_with(&GZIP_MAGIC) {
        return decode_gzip(source, reader, limits, sink, watch);
    }
    if start.first_chunk().is_some_and(|start| !frame::is_lz4(*start)) {
        let start: String = start.iter().map(|byte| format!(" {byte:02X}")).collect();
        let reason = format!("it is no canonical file: it starts with{start}, neither an LZ4 frame nor gzip");
        return Err(Refused::file(0, reason).into());
    }
    let blocks = LzFrame::new(reader, limits, len)?;
    let mut tokens = MessagePack::new(Input::new(Box::new(blocks), limits.of_tokens(), len).watched(watch));
    contents::read(&mut tokens, limits, sink)?;
    Ok(decoded(Container::Lz4, &tokens))
}

/// How a file was read, all of which `tokens` have given.
fn decoded(container: Container, tokens: &impl Tokens) -> Decoded {
    Decoded { container, trailing: tokens.trailing() }
}

#[cfg(feature = "legacy-import")]
fn decode_gzip<'r, S: Sink<Error = Error>>(
    source: &SourceFile,
    reader: impl BufRead + 'r,
    limits: &ImportLimits,
    sink: &mut S,
    watch: impl FnMut(u64, Option<u64>) -> ControlFlow<()> + 'r,
) -> Result<Decoded, ReadError<Error>> {
    use crate::format::canonical::read::gzip::Gzip;
    use crate::format::canonical::read::json::Json;

    let mut input = Input::new(Box::new(Gzip::new(reader)), limits.of_tokens(), source.len()).watched(watch);
    if matches!(input.peek()?, Some(b'{' | b' ' | b'\t' | b'\r' | b'\n')) {
        let mut tokens = Json::new(input);
        contents::read(&mut tokens, limits, sink)?;
        return Ok(decoded(Container::GzipJson, &tokens));
    }
    let mut tokens = MessagePack::new(input);
    contents::read(&mut tokens, limits, sink)?;
    Ok(decoded(Container::GzipMessagePack, &tokens))
}

#[cfg(not(feature = "legacy-import"))]
fn decode_gzip<S: Sink<Error = Error>>(
    _: &SourceFile,
    _: impl BufRead,
    _: &ImportLimits,
    _: &mut S,
    _: impl FnMut(u64, Option<u64>) -> ControlFlow<()>,
) -> Result<Decoded, ReadError<Error>> {
    let reason =
        "a release before 1.4 wrote it (gzip), which this build does not read: it has no feature legacy-import";
    Err(Refused::file(0, reason).into())
}
