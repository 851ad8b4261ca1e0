//! Sequences in which the server and the reference once differed, and which side was wrong.
use super::op::Id::{Arn, First, Name, Partial};
use super::op::Of::{Bytes, Text};
use super::op::Op;
use super::op::Op::*;

const NINETEEN: &[&str] = &[
    "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a8", "a9", "b1", "b2", "b3", "b4", "b5", "b6", "b7",
    "b8", "b9", "c1",
];

pub const FOUND: &[(&str, &[Op])] = &[
    (
        "a name used again is another secret",
        &[
            Create { name: 0, token: 1, value: Some(Text("v1")) },
            Delete { id: Name(0), days: Some(7), force: false },
            Create { name: 0, token: 1, value: Some(Text("v1")) },
            Wait { seconds: 604_800 },
            Create { name: 0, token: 1, value: Some(Text("v2")) },
            Get { id: First(0), token: None, label: None },
            Get { id: Arn(0), token: Some(1), label: Some("AWSCURRENT") },
        ],
    ),
    (
        "over a hundred versions are several pages",
        &[
            Create { name: 0, token: 5, value: Some(Text("v3")) },
            Fill { id: Arn(0), count: 160, labels: Some(&["AWSPREVIOUS"]) },
            List { id: Name(0), deprecated: true },
        ],
    ),
    (
        "the token of a version that was pruned may be used again",
        &[
            Create { name: 0, token: 4, value: Some(Bytes("v1")) },
            Put { id: Partial(0), token: 1, value: Text("v2"), labels: None },
            Get { id: Arn(0), token: None, label: Some("AWSCURRENT") },
            Wait { seconds: 2_678_400 },
            Fill { id: Name(0), count: 101, labels: None },
            Put { id: Name(0), token: 1, value: Bytes("v1"), labels: Some(&["AWSPENDING"]) },
        ],
    ),
    (
        "a version that a rotation has announced cannot become the current one",
        &[
            Create { name: 0, token: 0, value: None },
            Put { id: Name(0), token: 5, value: Text("v1"), labels: None },
            Rotate { id: Name(0), token: 100, function: true, now: false },
            Stage { id: Name(0), label: "AWSCURRENT", from: Some(5), to: Some(100) },
        ],
    ),
    (
        "a secret with all its labels is rotated to the end",
        &[
            Create { name: 0, token: 1, value: Some(Text("v1")) },
            Put { id: Name(0), token: 2, value: Text("v2"), labels: Some(NINETEEN) },
            Rotate { id: Name(0), token: 100, function: true, now: true },
            Wait { seconds: 1 },
            Get { id: Name(0), token: None, label: None },
            Stage { id: Name(0), label: "blue", from: None, to: Some(2) },
        ],
    ),
    (
        "what somebody labelled is kept when a trial of a rotation was made with it",
        &[
            Create { name: 0, token: 6, value: Some(Text("v2")) },
            Rotate { id: Name(0), token: 103, function: true, now: false },
            Put { id: Arn(0), token: 103, value: Bytes("v1"), labels: Some(&["blue", "green"]) },
            Wait { seconds: 259_200 },
            List { id: Arn(0), deprecated: true },
        ],
    ),
];
