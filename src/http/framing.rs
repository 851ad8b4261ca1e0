//! Finds where each HTTP/1 head and body ends in the bytes a client sends, before hyper reads them.
//!
//! hyper accepts what no client needs and what other parsers read differently: lines ended by a bare
//! LF and bytes above 0x7e in heads. Heads are therefore looked at here, and one with an offending
//! byte is handed over up to that byte, with NUL in its place, which hyper answers with 400. To know that a byte belongs to a head, bodies must
//! be counted too: hyper is handed a head, tells the length of its body, and is handed so much. What came
//! of the body with a head is handed over with it, if the head says in one way only how much there is, and
//! hyper must then say the same.
//!
//! ```text
//! Head ──blank line──► Announced ──length n──► Body(n) ──n bytes──► Head …
//!  │                       └──chunked, or never told──► Unframed   (closed after its response)
//!  ├──preface of HTTP/2──► Http2        └──offence──► Poisoned     (hyper answers 400 and closes)
//! ```

use memchr::memchr_iter;

/// What an HTTP/2 client says first, as far as it looks like a head.
pub(super) const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\n";
/// Not allowed in any part of a head, so hyper refuses it wherever it stands.
const POISON: u8 = 0;
/// hyper looks at a head that came in pieces only when it seems complete.
pub(super) const END_OF_HEAD: &[u8] = b"\r\n\r\n";

/// How the body of the head just handed over is delimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyLength {
    Exactly(u64),
    /// Chunked: what follows the body cannot be found without parsing the chunks.
    Unknown,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Head,
    Announced(Given),
    Body(u64),
    Unframed,
    Poisoned,
    Http2,
}

/// Bytes of a body that were handed over with its head, and how many the head says that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Given {
    bytes: u64,
    of: u64,
}

/// What a head says of its body's length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Said {
    Nothing,
    Exactly(u64),
    /// Not certainly what hyper will read.
    Unclear,
}

impl Said {
    /// Takes in a line of a head, without its end.
    fn hear(&mut self, line: &[u8]) {
        let name = |name: &[u8]| {
            line.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name))
        };
        match line.first() {
            // Part of the line before, to some.
            Some(b' ' | b'\t') => *self = Self::Unclear,
            Some(b't' | b'T') if name(b"transfer-encoding") => *self = Self::Unclear,
            Some(b'c' | b'C') if name(b"content-length") => {
                let value = line.get(b"content-length".len()..).unwrap_or_default();
                let value = value.strip_prefix(b":").unwrap_or_default().trim_ascii();
                let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                *self = match (*self, length) {
                    (Self::Nothing, Some(length)) if digits => Self::Exactly(length),
                    _ => Self::Unclear,
                };
            }
            _ => {}
        }
    }
}

/// Where in the client's bytes we are.
#[derive(Debug)]
pub(super) struct Framing {
    state: State,
    /// Bytes of this head so far, of its current line so far, and the last of them.
    head: usize,
    line: usize,
    last: u8,
    /// A line that was not empty has ended.
    started: bool,
    said: Said,
    /// The head, so far, is the HTTP/2 preface.
    preface: bool,
}

impl Framing {
    pub(super) fn new() -> Self {
        Framing {
            state: State::Head,
            head: 0,
            line: 0,
            last: 0,
            started: false,
            said: Said::Nothing,
            preface: true,
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.state == State::Http2
    }

    /// Between two requests, without a byte of the next (once `settle`d).
    pub(super) fn is_between(&self) -> bool {
        self.state == State::Head && self.head == 0
    }

    /// A head was spoilt; hyper must have [`END_OF_HEAD`] next, and no byte of the client's.
    pub(super) fn is_poisoned(&self) -> bool {
        self.state == State::Poisoned
    }

    /// Whether the connection may serve another request after this one.
    pub(super) fn is_exact(&self) -> bool {
        !matches!(self.state, State::Unframed | State::Poisoned)
    }

    /// Takes in the length of the body of the last complete head, if that is awaited and known.
    pub(super) fn settle(&mut self, told: impl FnOnce() -> Option<BodyLength>) {
        let State::Announced(given) = self.state else { return };
        match told() {
            None => {}
            Some(BodyLength::Exactly(length)) if given.bytes == 0 || given.of == length => {
                match length.saturating_sub(given.bytes) {
                    0 => *self = Framing::next_head(),
                    left => self.state = State::Body(left),
                }
            }
            Some(_) => self.state = State::Unframed,
        }
    }

    /// The length of the body of the last head, of which a part was handed over with it: another one must
    /// not be told.
    pub(super) fn given(&self) -> Option<u64> {
        match self.state {
            State::Announced(given) if given.bytes > 0 => Some(given.of),
            _ => None,
        }
    }

    /// Looks at bytes just received; hyper may have as many of them as the answer says, at least
    /// one of a non-empty `chunk`, and asks again for the rest. `told` is as for `settle`.
    pub(super) fn admit(
        &mut self,
        chunk: &mut [u8],
        told: impl FnOnce() -> Option<BodyLength>,
    ) -> usize {
        self.settle(told);
        if matches!(self.state, State::Announced(_)) {
            // hyper saw no end where we did, and reads on.
            self.state = State::Unframed;
        }
        match self.state {
            State::Head => self.admit_head(chunk),
            State::Body(left) => {
                let admitted = usize::try_from(left).unwrap_or(usize::MAX).min(chunk.len());
                match left.saturating_sub(admitted as u64) {
                    0 => *self = Framing::next_head(),
                    left => self.state = State::Body(left),
                }
                admitted
            }
            _ => chunk.len(),
        }
    }

    /// The preface of HTTP/2 opens a connection; later it is a malformed request.
    fn next_head() -> Self {
        Framing { preface: false, ..Framing::new() }
    }

    fn admit_head(&mut self, chunk: &mut [u8]) -> usize {
        if self.head > 0 {
            // Lines may have come in pieces.
            self.said = Said::Unclear;
        }
        let (end, bare_lf) = self.find_end(chunk);
        let head = chunk.get_mut(..end).unwrap_or_default();
        let offence = match bare_lf {
            // Eight bytes at a time; only then one by one.
            None if head.is_ascii() => None,
            None => head.iter().position(|byte| !byte.is_ascii()),
            bare_lf => bare_lf,
        };
        if let Some(byte) = offence.and_then(|at| head.get_mut(at)) {
            *byte = POISON;
            self.state = State::Poisoned;
            return offence.map_or(0, |at| at + 1);
        }
        self.preface &= HTTP2_PREFACE.get(self.head..self.head + end) == Some(head);
        self.head += end;
        self.last = head.last().copied().unwrap_or(self.last);
        let State::Announced(given) = &mut self.state else { return end };
        if self.preface {
            self.state = State::Http2;
            return end;
        }
        let Said::Exactly(length) = self.said else { return end };
        let there = chunk.len() - end;
        let bytes = usize::try_from(length).map_or(there, |length| length.min(there));
        *given = Given { bytes: bytes as u64, of: length };
        end + bytes
    }

    /// The end of the head in this chunk (all of it, if it does not end here), and a line end that
    /// is not CR LF.
    fn find_end(&mut self, chunk: &[u8]) -> (usize, Option<usize>) {
        let mut line_start = 0;
        for at in memchr_iter(b'\n', chunk) {
            let before = match at.checked_sub(1) {
                Some(before) => chunk.get(before).copied(),
                None => Some(self.last),
            };
            if before != Some(b'\r') {
                return (chunk.len(), Some(at));
            }
            let empty = self.line + (at - line_start) == 1;
            if empty && self.started {
                self.state = State::Announced(Given::default());
                return (at + 1, None);
            }
            self.said.hear(chunk.get(line_start..at.saturating_sub(1)).unwrap_or_default());
            // Empty lines before the request line are skipped, as RFC 9112 advises.
            self.started |= !empty;
            self.line = 0;
            line_start = at + 1;
        }
        self.line += chunk.len() - line_start;
        (chunk.len(), None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// Feeds `bytes` in pieces of `size`; returns the pieces hyper would see.
    fn feed(framing: &mut Framing, bytes: &[u8], size: usize, length: BodyLength) -> Vec<Vec<u8>> {
        let mut seen = Vec::new();
        for piece in bytes.chunks(size) {
            let mut rest = piece.to_vec();
            while !rest.is_empty() && !framing.is_poisoned() {
                let admitted = framing.admit(&mut rest, || Some(length));
                seen.push(rest.drain(..admitted).collect());
            }
        }
        seen
    }

    #[test]
    fn pipelined_requests_are_handed_over_one_part_at_a_time() {
        let mut framing = Framing::new();
        let bytes = [GET, b"abc", b"\r\n", GET, b"d\nf", GET].concat();
        let seen = feed(&mut framing, &bytes, bytes.len(), BodyLength::Exactly(3));
        let second = [b"\r\n", GET].concat();
        assert_eq!(seen, [GET, b"abc", &second, b"d\nf", GET]);
        for size in 1..40 {
            let mut framing = Framing::new();
            let seen = feed(&mut framing, &bytes, size, BodyLength::Exactly(3));
            assert_eq!(seen.concat(), bytes, "in pieces of {size}");
            framing.settle(|| Some(BodyLength::Exactly(0)));
            assert!(framing.is_between() && framing.is_exact());
        }
    }

    /// A request with a body of three bytes, and this in its head.
    fn post(lines: &str) -> Vec<u8> {
        format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\nabc").into_bytes()
    }

    #[test]
    fn a_body_goes_with_its_head_as_far_as_it_is_there() {
        for lines in ["content-length: 3", "Content-Length:3", "CONTENT-LENGTH: \t003 \r\nc: d"] {
            let one = post(lines);
            let bytes = [&one[..], GET, &one].concat();
            let mut framing = Framing::new();
            let mut rest = bytes.clone();
            assert_eq!(framing.admit(&mut rest, || None), one.len(), "{lines}");
            assert_eq!(framing.given(), Some(3));
            rest.drain(..one.len());
            assert_eq!(framing.admit(&mut rest, || Some(BodyLength::Exactly(3))), GET.len());
            assert_eq!(framing.given(), None);
            rest.drain(..GET.len());
            assert_eq!(framing.admit(&mut rest, || Some(BodyLength::Exactly(0))), one.len());
            framing.settle(|| Some(BodyLength::Exactly(3)));
            assert!(framing.is_between() && framing.is_exact());
            // Wherever the bytes are parted, hyper sees all of them, and the end is the same.
            for size in 1..bytes.len() {
                let mut framing = Framing::new();
                let mut seen = Vec::new();
                for piece in one.chunks(size) {
                    let mut rest = piece.to_vec();
                    while !rest.is_empty() {
                        let admitted = framing.admit(&mut rest, || Some(BodyLength::Exactly(3)));
                        seen.extend(rest.drain(..admitted));
                    }
                }
                framing.settle(|| Some(BodyLength::Exactly(3)));
                assert!(seen == one && framing.is_between() && framing.is_exact(), "{size}");
            }
        }
    }

    #[test]
    fn a_length_that_is_not_certain_takes_no_body_along() {
        for lines in [
            "content-length: 3\r\ncontent-length: 3",
            "content-length: 3, 3",
            "content-length: +3",
            "content-length: 3 3",
            "content-length:",
            "content-length 3",
            "content-length-x: 3",
            "content-length: 3\r\n 4: 5",
            "content-length: 99999999999999999999",
            "content-length: 3\r\nTransfer-Encoding: chunked",
            "transfer-encoding: chunked\r\ncontent-length: 3",
            "x: content-length: 3",
        ] {
            let mut bytes = post(lines);
            let head = bytes.len() - 3;
            let mut framing = Framing::new();
            assert_eq!(framing.admit(&mut bytes, || None), head, "{lines}");
            assert_eq!(framing.given(), None);
        }
    }

    #[test]
    fn who_reads_another_length_gets_no_second_request() {
        for told in [BodyLength::Exactly(0), BodyLength::Exactly(2), BodyLength::Unknown] {
            let mut framing = Framing::new();
            framing.admit(&mut post("content-length: 3"), || None);
            framing.settle(|| Some(told));
            assert!(!framing.is_exact() && !framing.is_between(), "{told:?}");
        }
    }

    #[test]
    fn offences_are_poisoned_in_every_request_and_at_every_split() {
        let offences: [&[u8]; 6] = [
            b"GET / HTTP/1.1\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\n",
            b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n",
            b"GET /\xc3\xa4 HTTP/1.1\r\nHost: a\r\n\r\n",
        ];
        for offence in offences {
            let bytes = [GET, offence].concat();
            for size in 1..bytes.len() {
                let mut framing = Framing::new();
                let seen = feed(&mut framing, &bytes, size, BodyLength::Exactly(0)).concat();
                assert!(framing.is_poisoned() && !framing.is_exact());
                assert_eq!(seen.iter().position(|&byte| byte == POISON), Some(seen.len() - 1));
            }
        }
    }

    #[test]
    fn only_a_first_head_can_be_the_preface_of_http2() {
        let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0";
        for size in 1..preface.len() {
            let mut framing = Framing::new();
            feed(&mut framing, preface, size, BodyLength::Unknown);
            assert!(framing.is_http2());
        }
        let mut framing = Framing::new();
        let bytes = [GET, preface].concat();
        feed(&mut framing, &bytes, bytes.len(), BodyLength::Exactly(0));
        assert!(!framing.is_http2());
    }

    #[test]
    fn after_a_chunked_head_nothing_is_framed() {
        let mut framing = Framing::new();
        feed(&mut framing, &[GET, b"0\r\n\r\n"].concat(), 64, BodyLength::Unknown);
        assert!(!framing.is_exact() && !framing.is_between());
    }
}
