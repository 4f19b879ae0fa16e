//! Figures in docs/performance.md: what a run found stands between two marks there, so that nobody copies it by hand.

use crate::{Result, folder};

/// Puts a text between the marks of this name.
pub fn publish(name: &str, text: &str) -> Result<()> {
    let path = folder("docs/performance.md");
    let page = std::fs::read_to_string(&path)?;
    Ok(std::fs::write(&path, between(&page, name, text).ok_or(format!("no marks of `{name}` in {path:?}"))?)?)
}

fn between(page: &str, name: &str, text: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->"));
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{}\n\n{end}{after}", text.trim()))
}
