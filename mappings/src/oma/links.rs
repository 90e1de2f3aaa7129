//! What a device says that it has: the links of `.well-known/core` (RFC 6690).

/// Most links that are looked at.
const MOST: usize = 4096;

/// One resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Path and query, beginning with `/`.
    pub path: String,
    /// `rt`: resource types.
    pub types: Vec<String>,
    /// `ct`: content formats.
    pub formats: Vec<u16>,
    /// `obs`: changes of it are told.
    pub observable: bool,
    /// `title`.
    pub title: Option<String>,
}

/// The links of a document. What is no link of this host is left out.
pub fn parse(text: &str) -> Vec<Link> {
    pieces(text, ',').filter_map(link).take(MOST).collect()
}

fn link(text: &str) -> Option<Link> {
    let (target, rest) = text.trim().strip_prefix('<')?.split_once('>')?;
    let path = target.starts_with('/') && !target.starts_with("//");
    let mut link = Link { path: target.to_owned(), ..Link::default() };
    for attribute in pieces(rest, ';') {
        let (name, value) = attribute.trim().split_once('=').unwrap_or((attribute.trim(), ""));
        let value = value.trim().trim_matches('"');
        let words = || value.split_ascii_whitespace();
        match name.trim() {
            "rt" => link.types = words().map(str::to_owned).collect(),
            "ct" => link.formats = words().filter_map(|word| word.parse().ok()).collect(),
            "obs" => link.observable = true,
            "title" => link.title = Some(value.to_owned()).filter(|title| !title.is_empty()),
            _ => {}
        }
    }
    path.then_some(link)
}

/// The parts between a character that stands outside of quotes and angle brackets.
fn pieces(text: &str, by: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut inside) = (false, false);
    text.split(move |c: char| {
        match c {
            '"' if !inside => quoted = !quoted,
            '<' if !quoted => inside = true,
            '>' if !quoted => inside = false,
            _ => {}
        }
        c == by && !quoted && !inside
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After the examples of RFC 6690, section 5.
    #[test]
    fn links_are_read_with_what_is_said_of_them() {
        let text = r#"</sensors/temp>;rt="temperature-c x";if="sensor";obs;ct="0 50";title="a, b; c","#
            .to_owned()
            + r#"</t?a=1,2>;ct=40,<http://www.example.com/>;rel="describedby""#;
        let links = parse(&text);
        assert_eq!(links.len(), 2, "{links:?}");
        assert_eq!((links[0].path.as_str(), links[0].title.as_deref()), ("/sensors/temp", Some("a, b; c")));
        assert_eq!(
            (links[0].types.as_slice(), links[0].formats.as_slice()),
            (&["temperature-c".to_owned(), "x".to_owned()][..], &[0, 50][..])
        );
        assert!(links[0].observable && !links[1].observable);
        assert_eq!((links[1].path.as_str(), links[1].formats.as_slice()), ("/t?a=1,2", &[40][..]));
    }

    #[test]
    fn nonsense_has_no_links() {
        for text in ["", "<", "<>", "a,b", "<//other/x>", "\"<"] {
            assert_eq!(parse(text), [], "{text}");
        }
        assert_eq!(parse(&"</a>,".repeat(10_000)).len(), MOST);
    }
}
