//! Splits the path of a container image into what users know it by. Pure.

use super::loose::is_complete;

/// The name of an image, and its tag, or its digest where it has no tag. `None` for a path that was cut: half of a name would be
/// another image.
pub fn split_image(path: &str) -> Option<(String, Option<String>)> {
    if !is_complete(path) {
        return None;
    }
    let (path, digest) = path.split_once('@').map_or((path, None), |(path, digest)| (path, Some(digest)));
    let (name, tag) = match path.rsplit_once(':') {
        // The colon before a registry's port is followed by a path.
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (path, None),
    };
    let tag = tag.filter(|tag| !tag.is_empty()).or(digest.filter(|digest| !digest.is_empty()));
    Some((name.to_owned(), tag.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_split_where_its_tag_or_digest_begins() {
        for (path, name, tag) in [
            ("redis", "redis", None),
            ("docker.io/acme/web:4.1", "docker.io/acme/web", Some("4.1")),
            ("registry:5000/acme/web", "registry:5000/acme/web", None),
            ("registry:5000/acme/web:4.1", "registry:5000/acme/web", Some("4.1")),
            ("acme/web@sha256:0f", "acme/web", Some("sha256:0f")),
            ("registry:5000/acme/web:4.1@sha256:0f", "registry:5000/acme/web", Some("4.1")),
            ("acme/web:@sha256:0f", "acme/web", Some("sha256:0f")),
            ("acme/web:", "acme/web", None),
            ("acme/web@", "acme/web", None),
        ] {
            assert_eq!(split_image(path), Some((name.to_owned(), tag.map(str::to_owned))), "{path}");
        }
        assert_eq!(split_image(&"x".repeat(1 << 20)), None, "it may have been cut");
    }
}
