//! Key sets (RFC 7517): the public keys by which an identity provider's tokens are verified.
//!
//! What must stay true: only the asymmetric algorithms of [`algorithm`]; a key is used for nothing but what it is for; a key that
//! cannot be used is skipped and said, and takes no other with it. The library would panic at some keys: everything about a key is
//! judged here before the library sees it.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, crypto};
use serde_json::{Map, Value};

/// Most keys that are read; real sets have one to thirty.
const KEYS_MAX: usize = 200;

/// Sizes of an RSA modulus, in bits: less is weak, more costs too much to ask of everybody's request.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// The algorithms that a token may be signed with. `none` is no algorithm, and one with a shared secret would make a secret of a
/// public key.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "RS256" => Some(Algorithm::RS256),
        "PS256" => Some(Algorithm::PS256),
        "ES256" => Some(Algorithm::ES256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

/// One key that can be used.
pub(super) struct Key {
    id: String,
    /// The algorithms that it may verify.
    algorithms: Vec<Algorithm>,
    /// The only issuer it is for; `{tenantid}` in it stands for the token's tenant.
    issuer: Option<String>,
    public: DecodingKey,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

impl Key {
    /// Is it for this algorithm?
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Is it for tokens of this issuer and tenant?
    pub fn is_of(&self, issuer: &str, tenant: Option<&str>) -> bool {
        let Some(own) = &self.issuer else { return true };
        own == issuer || tenant.is_some_and(|tenant| own.replace("{tenantid}", tenant) == issuer)
    }

    /// Does the signature fit the message?
    pub fn verifies(&self, algorithm: Algorithm, message: &str, signature: &str) -> bool {
        self.is_for(algorithm)
            && crypto::verify(signature, message.as_bytes(), &self.public, algorithm).unwrap_or(false)
    }

    fn read(members: &Map<String, Value>) -> Result<Key, String> {
        let text = |name: &str| match members.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.as_str())),
            Some(_) => Err(format!("`{name}` is no text")),
        };
        let required = |name: &str| text(name)?.ok_or_else(|| format!("`{name}` is missing"));
        let bytes = |name: &str| {
            URL_SAFE_NO_PAD.decode(required(name)?).map_err(|_| format!("`{name}` is not base64url without padding"))
        };
        let id = required("kid")?.to_owned();
        if text("use")?.is_some_and(|purpose| purpose != "sig") {
            return Err("it is not for signatures".to_owned());
        }
        if let Some(operations) = members.get("key_ops")
            && !operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
        {
            return Err("it is not for verifying".to_owned());
        }
        let fault = |_| "the library does not take it".to_owned();
        let (fitting, public): (&[Algorithm], _) = match (required("kty")?, text("crv")?) {
            ("RSA", _) => {
                let (modulus, exponent) = (bytes("n")?, bytes("e")?);
                judge_rsa(&modulus, &exponent)?;
                let public = DecodingKey::from_rsa_raw_components(&modulus, &exponent);
                (&[Algorithm::RS256, Algorithm::PS256], public)
            }
            ("EC", Some("P-256")) if bytes("x")?.len() == 32 && bytes("y")?.len() == 32 => {
                let public = DecodingKey::from_ec_components(required("x")?, required("y")?).map_err(fault)?;
                (&[Algorithm::ES256], public)
            }
            ("OKP", Some("Ed25519")) if bytes("x")?.len() == 32 => {
                (&[Algorithm::EdDSA], DecodingKey::from_ed_components(required("x")?).map_err(fault)?)
            }
            ("EC" | "OKP", Some("P-256" | "Ed25519")) => return Err("its point has another length".to_owned()),
            (kind, curve) => return Err(format!("keys of kind {kind:?} {} are not used", curve.unwrap_or_default())),
        };
        let algorithms: Vec<_> = match text("alg")? {
            None => fitting.to_vec(),
            Some(own) => fitting.iter().copied().filter(|fitting| algorithm(own) == Some(*fitting)).collect(),
        };
        let Some(first) = algorithms.first() else { return Err("its algorithm is not used".to_owned()) };
        // Says whether the point is on its curve; no signature is that short.
        crypto::verify("", b"", &public, *first).map_err(|_| "it is no point of its curve".to_owned())?;
        Ok(Key { id, algorithms, issuer: text("issuer")?.map(str::to_owned), public })
    }
}

fn judge_rsa(modulus: &[u8], exponent: &[u8]) -> Result<(), String> {
    let bits = |number: &[u8]| {
        let skipped = number.iter().take_while(|byte| **byte == 0).count();
        let rest = number.get(skipped..).unwrap_or_default();
        rest.first().map_or(0, |first| rest.len() * 8 - first.leading_zeros() as usize)
    };
    let is_odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
    if !RSA_BITS.contains(&bits(modulus)) || !is_odd(modulus) {
        return Err(format!("its modulus of {} bits is not used", bits(modulus)));
    }
    if !(2..=33).contains(&bits(exponent)) || !is_odd(exponent) {
        return Err("its exponent is not used".to_owned());
    }
    Ok(())
}

/// The keys of one provider.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// What was skipped, and why: a line each.
    pub skipped: Vec<String>,
}

impl KeySet {
    /// Reads a key set; an error where it is none, or nothing in it can be used.
    pub fn read(bytes: &[u8]) -> Result<KeySet, String> {
        let set: Value = serde_json::from_slice(bytes).map_err(|_| "it is not JSON".to_owned())?;
        let all = set.get("keys").and_then(Value::as_array).ok_or_else(|| "it has no list `keys`".to_owned())?;
        if all.len() > KEYS_MAX {
            return Err(format!("it has more than {KEYS_MAX} keys"));
        }
        let mut read = KeySet::default();
        for (index, key) in all.iter().enumerate() {
            let name = key.get("kid").and_then(Value::as_str).map_or_else(|| index.to_string(), |id| format!("{id:?}"));
            let key = key.as_object().ok_or_else(|| "it is no object".to_owned()).and_then(Key::read);
            match key {
                Ok(key) if read.keys.iter().any(|other| other.is_like(&key)) => {
                    read.skipped.push(format!("key {name}: another key has the same name"));
                }
                Ok(key) => read.keys.push(key),
                Err(why) => read.skipped.push(format!("key {name}: {why}")),
            }
        }
        if read.keys.is_empty() {
            return Err(match read.skipped.first() {
                Some(first) => format!("none of its keys can be used ({first})"),
                None => "it is empty".to_owned(),
            });
        }
        Ok(read)
    }

    /// How many keys can be used.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of that name for that algorithm.
    pub fn find(&self, id: &str, algorithm: Algorithm) -> Option<&Key> {
        self.keys.iter().find(|key| key.id == id && key.is_for(algorithm))
    }

    /// Has any key that name?
    pub fn has(&self, id: &str) -> bool {
        self.keys.iter().any(|key| key.id == id)
    }
}

impl Key {
    fn is_like(&self, other: &Key) -> bool {
        self.id == other.id && self.algorithms.iter().any(|algorithm| other.is_for(*algorithm))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// RFC 8037, appendix A.2; RFC 7515, appendices A.2 and A.3.
    fn keys() -> [Value; 3] {
        [
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}),
            json!({"kty": "EC", "crv": "P-256", "kid": "ec", "alg": "ES256", "use": "sig",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}),
            json!({"kty": "RSA", "kid": "rsa", "e": "AQAB", "key_ops": ["verify"], "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}),
        ]
    }

    fn read(keys: &[Value]) -> Result<KeySet, String> {
        KeySet::read(json!({ "keys": keys }).to_string().as_bytes())
    }

    #[test]
    fn each_kind_of_key_verifies_what_its_specification_signed_with_it() {
        let set = read(&keys()).unwrap();
        assert_eq!((set.len(), set.skipped.len()), (3, 0));
        let ed = set.find("ed", Algorithm::EdDSA).unwrap();
        let message = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
        let signature = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
        assert!(ed.verifies(Algorithm::EdDSA, message, signature));
        assert!(!ed.verifies(Algorithm::EdDSA, "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmg", signature));
        assert!(!ed.verifies(Algorithm::ES256, message, signature));
        let claims = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let ec = set.find("ec", Algorithm::ES256).unwrap();
        let signature = "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
        assert!(ec.verifies(Algorithm::ES256, &format!("eyJhbGciOiJFUzI1NiJ9.{claims}"), signature));
        let rsa = set.find("rsa", Algorithm::RS256).unwrap();
        let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
        assert!(rsa.verifies(Algorithm::RS256, &format!("eyJhbGciOiJSUzI1NiJ9.{claims}"), signature));
        assert!(!rsa.verifies(Algorithm::PS256, &format!("eyJhbGciOiJSUzI1NiJ9.{claims}"), signature));
        for cut in [0, 1, 100] {
            assert!(!rsa.verifies(Algorithm::RS256, claims, &signature[..cut]));
        }
    }

    #[test]
    fn only_algorithms_of_the_list_are_known() {
        for name in ["none", "None", "HS256", "HS384", "RS384", "RS512", "ES384", "ES512", "rs256", "", "RS256 "] {
            assert_eq!(algorithm(name), None, "{name}");
        }
        let set = read(&keys()).unwrap();
        assert!(set.find("ec", Algorithm::RS256).is_none() && set.find("rsa", Algorithm::HS256).is_none());
        assert!(set.find("rsa", Algorithm::PS256).is_some(), "without `alg` an RSA key is for both");
        let mut rsa = keys()[2].clone();
        rsa["alg"] = json!("RS256");
        assert!(read(&[rsa]).unwrap().find("rsa", Algorithm::PS256).is_none());
    }

    #[test]
    fn a_key_that_cannot_be_used_is_skipped_and_takes_no_other_with_it() {
        let with = |index: usize, name: &str, value: Value| {
            let mut key = keys()[index].clone();
            key[name] = value;
            key
        };
        let long = |bytes: usize| json!(URL_SAFE_NO_PAD.encode(vec![0xff; bytes]));
        for bad in [
            json!(7),
            json!(null),
            json!({}),
            json!({"kty": "oct", "kid": "x", "k": "c2VjcmV0"}),
            with(0, "kid", json!(null)),
            with(0, "kid", json!(7)),
            with(0, "kty", json!("RSA")),
            with(0, "crv", json!("X25519")),
            with(0, "x", json!("")),
            with(0, "x", json!("AA")),
            with(0, "x", json!("%%%")),
            with(0, "x", json!("AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            with(0, "use", json!("enc")),
            with(0, "alg", json!("HS256")),
            with(0, "alg", json!("RS256")),
            with(0, "key_ops", json!(["sign"])),
            with(0, "key_ops", json!("verify")),
            with(1, "y", json!("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")),
            with(1, "y", long(33)),
            with(1, "crv", json!("P-384")),
            with(2, "n", json!("AQAB")),
            with(2, "n", long(128)),
            with(2, "n", long(1024)),
            with(2, "n", json!(URL_SAFE_NO_PAD.encode(vec![0xfe; 256]))),
            with(2, "e", json!("")),
            with(2, "e", json!("AQ")),
            with(2, "e", json!("AgAA")),
            with(2, "e", long(5)),
        ] {
            let set = read(&[bad.clone(), keys()[1].clone()]).unwrap();
            assert_eq!((set.len(), set.skipped.len()), (1, 1), "{bad}: {:?}", set.skipped);
            assert!(set.has("ec"));
            assert!(read(std::slice::from_ref(&bad)).is_err(), "nothing is left: {bad}");
        }
    }

    #[test]
    fn garbage_is_no_key_set() {
        for bytes in [&b""[..], b"\xff\xfe", b"[]", b"null", b"{}", br#"{"keys":7}"#, br#"{"keys":[]}"#, b"<html>"] {
            assert!(KeySet::read(bytes).is_err());
        }
        assert!(read(&vec![json!({}); KEYS_MAX + 1]).unwrap_err().contains("more than"));
        let twice = read(&[keys()[0].clone(), keys()[0].clone()]).unwrap();
        assert_eq!((twice.len(), twice.skipped.len()), (1, 1));
    }

    #[test]
    fn a_key_that_names_its_issuer_is_for_no_other() {
        let of = |issuer: &str| {
            let mut key = keys()[0].clone();
            key["issuer"] = json!(issuer);
            read(&[key]).unwrap()
        };
        let (own, template) = (of("https://a.example/t/v2.0"), of("https://a.example/{tenantid}/v2.0"));
        let is_of =
            |set: &KeySet, issuer: &str, tenant| set.find("ed", Algorithm::EdDSA).unwrap().is_of(issuer, tenant);
        assert!(is_of(&own, "https://a.example/t/v2.0", None) && !is_of(&own, "https://a.example/u/v2.0", Some("t")));
        assert!(is_of(&template, "https://a.example/t/v2.0", Some("t")));
        assert!(!is_of(&template, "https://a.example/t/v2.0", None));
        assert!(!is_of(&template, "https://a.example/t/v2.0", Some("u")));
        assert!(is_of(&read(&keys()).unwrap(), "anything", None));
    }
}
