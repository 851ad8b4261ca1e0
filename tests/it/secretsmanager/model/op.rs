//! The operations of a sequence, written so that one that was printed can be pasted as code.
use std::fmt;

/// How a request names a secret. Names are numbers: `m0`, `m1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Id {
    Name(u8),
    Arn(u8),
    /// The ARN without its six random characters.
    Partial(u8),
    /// The ARN of the first secret that had the name.
    First(u8),
}

impl Id {
    pub fn number(self) -> u8 {
        match self {
            Self::Name(n) | Self::Arn(n) | Self::Partial(n) | Self::First(n) => n,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Text(&'static str),
    Bytes(&'static str),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Create {
        name: u8,
        token: u16,
        value: Option<Of>,
    },
    Put {
        id: Id,
        token: u16,
        value: Of,
        labels: Option<&'static [&'static str]>,
    },
    /// So many versions, each with a token and a value of its own.
    Fill {
        id: Id,
        count: u16,
        labels: Option<&'static [&'static str]>,
    },
    Update {
        id: Id,
        token: u16,
        value: Option<Of>,
        description: Option<&'static str>,
    },
    Stage {
        id: Id,
        label: &'static str,
        from: Option<u16>,
        to: Option<u16>,
    },
    Get {
        id: Id,
        token: Option<u16>,
        label: Option<&'static str>,
    },
    List {
        id: Id,
        deprecated: bool,
    },
    Describe {
        id: Id,
    },
    Delete {
        id: Id,
        days: Option<i64>,
        force: bool,
    },
    Restore {
        id: Id,
    },
    Rotate {
        id: Id,
        token: u16,
        function: bool,
        now: bool,
    },
    Cancel {
        id: Id,
    },
    Tag {
        id: Id,
        key: &'static str,
        value: &'static str,
    },
    Untag {
        id: Id,
        key: &'static str,
    },
    Wait {
        seconds: i64,
    },
}

/// A sequence as Rust code.
pub struct Literal<'a>(pub &'a [Op]);

impl fmt::Display for Literal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "&[")?;
        for op in self.0 {
            writeln!(f, "    {},", format!("{op:?}").replace("Some([", "Some(&["))?;
        }
        write!(f, "]")
    }
}

/// SplitMix64: the same seed, the same sequence.
pub struct Dice(pub u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: u64) -> u64 {
        self.roll() % n
    }
    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }
    fn maybe<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.one_in(2).then(|| some(self))
    }

    pub fn sequence(&mut self, length: usize) -> Vec<Op> {
        (0..length).map(|_| self.op()).collect()
    }

    fn op(&mut self) -> Op {
        let id = self.id();
        match self.below(100) {
            0..=9 => Op::Create { name: self.name(), token: self.token(), value: self.value() },
            10..=27 => {
                let (token, value) = (self.token(), self.of(VALUES));
                let labels = if self.one_in(2) { None } else { Some(self.of(LABEL_SETS)) };
                Op::Put { id, token, value, labels }
            }
            28 => {
                let labels = if self.one_in(3) { Some(self.of(LABEL_SETS)) } else { None };
                Op::Fill { id, count: self.of(&[3, 40, 101, 160]), labels }
            }
            29..=37 => {
                let description = self.maybe(|dice| dice.of(&["", "one", "two"]));
                Op::Update { id, token: self.token(), value: self.value(), description }
            }
            38..=51 => {
                let (from, to) = (self.maybe(Self::token), self.maybe(Self::token));
                Op::Stage { id, label: self.of(LABELS), from, to }
            }
            52..=61 => {
                let label = self.maybe(|dice| dice.of(LABELS));
                Op::Get { id, token: self.maybe(Self::token), label }
            }
            62..=64 => Op::List { id, deprecated: self.one_in(2) },
            65..=66 => Op::Describe { id },
            67..=71 => {
                let days = self.maybe(|dice| dice.of(&[6, 7, 8, 30, 31]));
                Op::Delete { id, days, force: self.one_in(3) }
            }
            72..=76 => Op::Restore { id },
            77..=83 => {
                let token = if self.one_in(5) { self.token() } else { self.rotation_token() };
                Op::Rotate { id, token, function: !self.one_in(3), now: !self.one_in(4) }
            }
            84..=85 => Op::Cancel { id },
            86..=87 => Op::Tag { id, key: self.of(&["a", "b"]), value: self.of(&["", "1"]) },
            88 => Op::Untag { id, key: self.of(&["a", "b"]) },
            _ => Op::Wait { seconds: self.of(TIMES) },
        }
    }

    fn name(&mut self) -> u8 {
        // One of them mostly, so that much happens to it.
        u8::from(self.one_in(5))
    }
    fn id(&mut self) -> Id {
        let name = self.name();
        match self.below(20) {
            0..=13 => Id::Name(name),
            14..=17 => Id::Arn(name),
            18 => Id::Partial(name),
            _ => Id::First(name),
        }
    }
    fn token(&mut self) -> u16 {
        if self.one_in(10) {
            return self.rotation_token();
        }
        u16::try_from(self.below(7)).unwrap()
    }
    /// The versions that rotations make, mostly.
    fn rotation_token(&mut self) -> u16 {
        100 + u16::try_from(self.below(4)).unwrap()
    }
    fn value(&mut self) -> Option<Of> {
        if self.one_in(4) { None } else { Some(self.of(VALUES)) }
    }
}

const VALUES: &[Of] = &[Of::Text("v1"), Of::Text("v2"), Of::Text("v3"), Of::Bytes("v1")];

const LABELS: &[&str] =
    &["AWSCURRENT", "AWSCURRENT", "AWSPREVIOUS", "AWSPENDING", "AWSPENDING", "blue", "green"];

const LABEL_SETS: &[&[&str]] = &[
    &["AWSCURRENT"],
    &["AWSPENDING"],
    &["AWSPENDING"],
    &["AWSPREVIOUS"],
    &["blue"],
    &["green", "blue"],
    &["AWSCURRENT", "AWSPREVIOUS", "blue"],
    &["AWSPENDING", "AWSCURRENT"],
    // Of these a secret can have one set and not both.
    &["a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b1", "b2", "b3", "b4", "b5"],
    &["c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "d1", "d2", "d3", "d4", "d5"],
];

const TIMES: &[i64] = &[1, 600, 4 * 3600, 86_400, 86_401, 3 * 86_400, 7 * 86_400, 31 * 86_400];
