//! The awsQuery protocol of STS and IAM. A form comes in and becomes the JSON that the JSON
//! protocols would have sent; the answer's JSON goes out as XML. Both by the model, so operations
//! know nothing of either.
mod form;
mod tree;
mod xml;

pub use form::Form;
pub use xml::{Unencodable, encode, encode_fault};

/// The media type of a request.
pub const FORM_MEDIA_TYPE: &str = "application/x-www-form-urlencoded";
/// The media type of every answer.
pub const XML_MEDIA_TYPE: &str = "text/xml";
