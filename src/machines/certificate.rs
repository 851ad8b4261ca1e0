//! What a client's certificate says of its owner, in the words of IAM Roles Anywhere. Whether the
//! certificate may be believed was decided by whoever hands it in.
use crate::types::{Tags, Timestamp};
use std::collections::BTreeMap;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

/// IAM and STS quotas: characters of a session tag's value.
const TAG_CHARS: usize = 256;
/// A role session's name is between 2 and 64 characters (STS API reference); a serial number has at
/// most 20 bytes (RFC 5280, 4.1.2.2).
const SERIAL_BYTES: usize = 20;

/// Why a certificate cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("The certificate cannot be read")]
    Malformed,
    #[error("The certificate's serial number is empty or too long")]
    Serial,
    #[error(
        "A name in the certificate has more than {TAG_CHARS} characters, or some that are not text"
    )]
    Name,
}

/// A certificate as far as roles are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// In hexadecimal, without zeros before it: the name of its sessions.
    pub serial: String,
    /// Only if there is exactly one.
    pub common_name: Option<String>,
    /// The subject alternative names.
    pub uris: Vec<String>,
    pub dns_names: Vec<String>,
    /// `x509Subject/CN`, `x509Issuer/O`, `x509SAN/URI` and so on.
    pub tags: Tags,
    pub not_after: Timestamp,
}

impl Certificate {
    pub fn parse(der: &[u8]) -> Result<Self, Unreadable> {
        let (rest, certificate) =
            X509Certificate::from_der(der).map_err(|_| Unreadable::Malformed)?;
        if !rest.is_empty() {
            return Err(Unreadable::Malformed);
        }
        let mut tags = BTreeMap::new();
        let common_names = name_tags("x509Subject", certificate.subject(), &mut tags)?;
        name_tags("x509Issuer", certificate.issuer(), &mut tags)?;
        let (mut uris, mut dns_names) = (Vec::new(), Vec::new());
        // An extension that is there twice is an error, too.
        let alternatives =
            certificate.subject_alternative_name().map_err(|_| Unreadable::Malformed)?;
        let mut directory = None;
        for name in alternatives.iter().flat_map(|san| &san.value.general_names) {
            match name {
                GeneralName::URI(uri) => uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => dns_names.push((*name).to_owned()),
                GeneralName::DirectoryName(name) => directory = directory.or(Some(name)),
                // Half of a name could be taken for another one.
                GeneralName::Invalid(..) => return Err(Unreadable::Malformed),
                _ => {}
            }
        }
        if let Some(name) = directory {
            name_tags("x509SAN/Name", name, &mut tags)?;
        }
        // IAM Roles Anywhere user guide, "Default mapping behavior": the first of each kind.
        for (tag, first) in [("x509SAN/URI", uris.first()), ("x509SAN/DNS", dns_names.first())] {
            tags.extend(first.map(|value| (tag.to_owned(), value.clone())));
        }
        let printable = |text: &String| {
            text.chars().count() <= TAG_CHARS && !text.chars().any(char::is_control)
        };
        if !tags.values().chain(&uris).chain(&dns_names).all(printable) {
            return Err(Unreadable::Name);
        }
        let common_name = match common_names.as_slice() {
            [name] => Some(name.clone()),
            _ => None,
        };
        Ok(Self {
            serial: serial(certificate.raw_serial())?,
            common_name,
            uris,
            dns_names,
            tags: Tags(tags),
            not_after: Timestamp::from_secs(certificate.validity().not_after.timestamp()),
        })
    }

    /// By what the machine is called: the common name, or else what stands for one.
    pub fn name(&self) -> &str {
        let alternative = || self.uris.first().or(self.dns_names.first());
        self.common_name.as_ref().or_else(alternative).unwrap_or(&self.serial)
    }
}

fn serial(bytes: &[u8]) -> Result<String, Unreadable> {
    let first = bytes.iter().position(|byte| *byte != 0).ok_or(Unreadable::Serial)?;
    let significant = bytes.get(first..).unwrap_or_default();
    if significant.len() > SERIAL_BYTES {
        return Err(Unreadable::Serial);
    }
    Ok(hex::encode(significant))
}

/// Adds a tag for each kind of attribute, and answers the common names. What occurs several times,
/// such as the parts of a domain name, is one tag: a policy that compares it then sees all of it.
fn name_tags(
    prefix: &str,
    name: &X509Name<'_>,
    tags: &mut BTreeMap<String, String>,
) -> Result<Vec<String>, Unreadable> {
    let mut common_names = Vec::new();
    for attribute in name.iter_attributes() {
        let Some(kind) = kind(&attribute.attr_type().to_id_string()) else { continue };
        // Left out, it could make a name of two parts pass for one.
        let value = attribute.as_str().map_err(|_| Unreadable::Name)?;
        if kind == "CN" {
            common_names.push(value.to_owned());
        }
        tags.entry(format!("{prefix}/{kind}"))
            .and_modify(|present| *present = format!("{present}/{value}"))
            .or_insert_with(|| value.to_owned());
    }
    Ok(common_names)
}

/// What IAM Roles Anywhere calls an attribute of a name (RFC 4519, 2).
fn kind(oid: &str) -> Option<&'static str> {
    Some(match oid {
        "2.5.4.3" => "CN",
        "2.5.4.5" => "serialNumber",
        "2.5.4.6" => "C",
        "2.5.4.7" => "L",
        "2.5.4.8" => "ST",
        "2.5.4.10" => "O",
        "2.5.4.11" => "OU",
        "0.9.2342.19200300.100.1.1" => "UID",
        "0.9.2342.19200300.100.1.25" => "DC",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType, SerialNumber};

    fn made(bend: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.serial_number = Some(SerialNumber::from_slice(&[0x80, 1]));
        bend(&mut params);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn names_become_tags() {
        let der = made(|params| {
            let component = || DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
            let names = &mut params.distinguished_name;
            names.push(DnType::CommonName, "payroll");
            names.push(DnType::OrganizationName, "Example, Inc.");
            names.push(DnType::CountryName, "NL");
            names.push(component(), "example");
            params.subject_alt_names = vec![
                SanType::URI("spiffe://a/b".try_into().unwrap()),
                SanType::DnsName("one.example".try_into().unwrap()),
                SanType::DnsName("two.example".try_into().unwrap()),
            ];
        });
        let certificate = Certificate::parse(&der).unwrap();
        let tag = |name: &str| certificate.tags.0.get(name).map(String::as_str);
        assert_eq!(tag("x509Subject/CN"), Some("payroll"));
        assert_eq!(tag("x509Issuer/CN"), Some("payroll"));
        assert_eq!(tag("x509Subject/O"), Some("Example, Inc."));
        assert_eq!(tag("x509Subject/C"), Some("NL"));
        assert_eq!(tag("x509Subject/DC"), Some("example"));
        assert_eq!(tag("x509SAN/URI"), Some("spiffe://a/b"));
        assert_eq!(tag("x509SAN/DNS"), Some("one.example"));
        assert_eq!(certificate.dns_names, ["one.example", "two.example"]);
        // The zero that keeps the number positive is not a part of it.
        assert_eq!(certificate.serial, "8001");
        assert_eq!(certificate.name(), "payroll");
        assert_eq!(certificate.not_after.to_string(), "4096-01-01T00:00:00Z");
    }

    #[test]
    fn what_is_no_certificate_is_an_error_and_no_panic() {
        let der = made(|params| params.distinguished_name.push(DnType::CommonName, "payroll"));
        for length in 0..der.len() {
            assert!(Certificate::parse(&der[..length]).is_err());
        }
        assert_eq!(Certificate::parse(&[&der[..], &[0]].concat()), Err(Unreadable::Malformed));
        for at in 0..der.len() {
            let mut flipped = der.clone();
            flipped[at] ^= 0x55;
            // Whether it can be read is not the question; that it comes back is.
            let _ = Certificate::parse(&flipped);
        }
    }

    #[test]
    fn a_serial_number_of_nothing_is_refused() {
        assert_eq!(serial(&[]), Err(Unreadable::Serial));
        assert_eq!(serial(&[0, 0]), Err(Unreadable::Serial));
        assert_eq!(serial(&[0; 21]), Err(Unreadable::Serial));
        assert_eq!(serial(&[1; 21]), Err(Unreadable::Serial));
        assert_eq!(serial(&[0, 1, 2]).as_deref(), Ok("0102"));
    }
}
