//! The names that Kubernetes takes: of namespaces, objects, labels, annotations, finalizers and a Secret's keys.

/// A DNS label: the name of a namespace.
pub fn is_label(text: &str) -> bool {
    text.len() <= 63 && is_part(text)
}

/// A DNS subdomain: the name of an object.
pub fn is_subdomain(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_part)
}

fn is_part(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.bytes().all(allowed) && !text.starts_with('-') && !text.ends_with('-')
}

/// What a name may begin with: a dash at its end is followed by more.
pub(super) fn is_prefix(text: &str) -> bool {
    match text.strip_suffix('-') {
        Some(start) if !start.is_empty() => is_subdomain(&format!("{start}a")),
        _ => is_subdomain(text),
    }
}

/// A qualified name: the key of a label, the name of a finalizer.
pub(super) fn is_qualified(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_subdomain(prefix) && !name.is_empty() && is_label_value(name),
        None => !text.is_empty() && is_label_value(text),
    }
}

/// The value of a label, which may be empty.
pub(super) fn is_label_value(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let is_inner = |end: Option<&u8>| end.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= 63 && text.bytes().all(allowed) && is_inner(bytes.first()) && is_inner(bytes.last())
}

/// A key of a Secret.
pub(super) fn is_secret_key(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=253).contains(&text.len()) && text.bytes().all(allowed) && text != "." && !text.starts_with("..")
}
