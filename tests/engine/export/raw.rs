//! MessagePack as it lies in a canonical file, nothing unwrapped.

use std::io::Read;

/// MessagePack as it lies in the file.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Raw {
    Nil,
    Bool(bool),
    Int(i128),
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
    Ext(i8, Vec<u8>),
    Array(Vec<Raw>),
    Map(Vec<(Raw, Raw)>),
}

impl Raw {
    pub(crate) fn decode(rest: &mut &[u8]) -> Self {
        use rmp::Marker;
        fn take<'a>(rest: &mut &'a [u8], len: usize) -> &'a [u8] {
            let (taken, after) = rest.split_at(len);
            *rest = after;
            taken
        }
        fn number(rest: &mut &[u8], len: usize) -> u64 {
            take(rest, len).iter().fold(0, |sum, &byte| (sum << 8) | u64::from(byte))
        }
        fn len(rest: &mut &[u8], len: usize) -> usize {
            usize::try_from(number(rest, len)).unwrap()
        }
        fn ext(rest: &mut &[u8], len: usize) -> Raw {
            let code = i8::from_be_bytes([take(rest, 1)[0]]);
            Raw::Ext(code, take(rest, len).to_vec())
        }
        fn text(rest: &mut &[u8], len: usize) -> Raw {
            Raw::Text(String::from_utf8(take(rest, len).to_vec()).unwrap())
        }
        fn array(rest: &mut &[u8], count: usize) -> Raw {
            Raw::Array((0..count).map(|_| Raw::decode(rest)).collect())
        }
        fn map(rest: &mut &[u8], count: usize) -> Raw {
            Raw::Map((0..count).map(|_| (Raw::decode(rest), Raw::decode(rest))).collect())
        }
        let marker = Marker::from_u8(take(rest, 1)[0]);
        match marker {
            Marker::Null => Self::Nil,
            Marker::True => Self::Bool(true),
            Marker::False => Self::Bool(false),
            Marker::FixPos(int) => Self::Int(int.into()),
            Marker::FixNeg(int) => Self::Int(int.into()),
            Marker::U8 => Self::Int(number(rest, 1).into()),
            Marker::U16 => Self::Int(number(rest, 2).into()),
            Marker::U32 => Self::Int(number(rest, 4).into()),
            Marker::U64 => Self::Int(number(rest, 8).into()),
            Marker::I8 => Self::Int(i8::from_be_bytes(take(rest, 1).try_into().unwrap()).into()),
            Marker::I16 => Self::Int(i16::from_be_bytes(take(rest, 2).try_into().unwrap()).into()),
            Marker::I32 => Self::Int(i32::from_be_bytes(take(rest, 4).try_into().unwrap()).into()),
            Marker::I64 => Self::Int(i64::from_be_bytes(take(rest, 8).try_into().unwrap()).into()),
            Marker::F64 => Self::Float(number(rest, 8)),
            Marker::FixStr(len) => text(rest, len.into()),
            Marker::Str8 => len(rest, 1).pipe(|len| text(rest, len)),
            Marker::Str16 => len(rest, 2).pipe(|len| text(rest, len)),
            Marker::Str32 => len(rest, 4).pipe(|len| text(rest, len)),
            Marker::Bin8 => len(rest, 1).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::Bin16 => len(rest, 2).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::Bin32 => len(rest, 4).pipe(|len| Self::Bytes(take(rest, len).to_vec())),
            Marker::FixExt1 => ext(rest, 1),
            Marker::FixExt2 => ext(rest, 2),
            Marker::FixExt4 => ext(rest, 4),
            Marker::FixExt8 => ext(rest, 8),
            Marker::FixExt16 => ext(rest, 16),
            Marker::Ext8 => len(rest, 1).pipe(|len| ext(rest, len)),
            Marker::Ext16 => len(rest, 2).pipe(|len| ext(rest, len)),
            Marker::Ext32 => len(rest, 4).pipe(|len| ext(rest, len)),
            Marker::FixArray(count) => array(rest, count.into()),
            Marker::Array16 => len(rest, 2).pipe(|count| array(rest, count)),
            Marker::Array32 => len(rest, 4).pipe(|count| array(rest, count)),
            Marker::FixMap(count) => map(rest, count.into()),
            Marker::Map16 => len(rest, 2).pipe(|count| map(rest, count)),
            Marker::Map32 => len(rest, 4).pipe(|count| map(rest, count)),
            Marker::F32 | Marker::Reserved => panic!("{marker:?} is never written"),
        }
    }

    pub(crate) fn get(&self, path: &[&str]) -> &Self {
        path.iter().fold(self, |raw, name| match raw {
            Self::Map(pairs) => &pairs.iter().find(|(key, _)| *key == text(name)).unwrap().1,
            _ => panic!("no map at {name}"),
        })
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        match self {
            Self::Map(pairs) => {
                pairs.iter().map(|(key, _)| if let Self::Text(name) = key { name.as_str() } else { panic!() }).collect()
            }
            _ => panic!("no map"),
        }
    }
}

/// Lets a length be read before the reader is borrowed again.
trait Pipe: Sized {
    fn pipe<T>(self, then: impl FnOnce(Self) -> T) -> T {
        then(self)
    }
}

impl Pipe for usize {}

pub(crate) fn text(text: &str) -> Raw {
    Raw::Text(text.to_owned())
}

pub(crate) fn int(int: impl Into<i128>) -> Raw {
    Raw::Int(int.into())
}

pub(crate) fn ints(numbers: &[i128]) -> Raw {
    Raw::Array(numbers.iter().map(|&number| int(number)).collect())
}

pub(crate) fn pairs(numbers: &[(i128, i128)]) -> Raw {
    Raw::Map(numbers.iter().map(|&(a, b)| (int(a), int(b))).collect())
}

pub(crate) fn domain(values: &[Raw]) -> Raw {
    Raw::Map((1..).map(Raw::Int).zip(values.iter().cloned()).collect())
}

/// What is in a file's frame.
pub(crate) fn content(file: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    lz4_flex::frame::FrameDecoder::new(file).read_to_end(&mut content).unwrap();
    content
}
