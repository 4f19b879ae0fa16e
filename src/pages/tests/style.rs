//! The style sheet: contrast, and the hash in the policy.

use crate::access::Reason;
use crate::pages::explain::{Sort, sort};
use crate::pages::{STYLE, SignedOut, csp};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The custom properties of the style sheet's light or dark `:root`.
fn colour(root: usize, name: &str) -> [f64; 3] {
    let block = STYLE.split(":root{").nth(root).unwrap().split('}').next().unwrap();
    let value = block.split(';').find_map(|p| p.strip_prefix(&format!("--{name}:#"))).unwrap();
    let value = if value.len() == 3 {
        value.chars().flat_map(|c| [c, c]).collect::<String>()
    } else {
        value.to_owned()
    };
    [0, 2, 4].map(|at| f64::from(u8::from_str_radix(value.get(at..at + 2).unwrap(), 16).unwrap()) / 255.0)
}

/// WCAG 2.2, relative luminance and contrast ratio.
fn contrast(ink: [f64; 3], ground: [f64; 3]) -> f64 {
    let luminance = |rgb: [f64; 3]| {
        let [r, g, b] = rgb.map(|c| if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) });
        0.2126f64.mul_add(r, 0.7152f64.mul_add(g, 0.0722 * b))
    };
    let (ink, ground) = (luminance(ink), luminance(ground));
    (ink.max(ground) + 0.05) / (ink.min(ground) + 0.05)
}

#[test]
fn every_text_and_every_control_has_enough_contrast_in_light_and_dark() {
    for (root, theme) in [(1, "light"), (2, "dark")] {
        for (ink, ground, least) in [
            ("ink", "bg", 7.0),
            ("ink", "surface", 7.0),
            ("ink", "tint", 7.0),
            ("soft", "bg", 4.5),
            ("soft", "surface", 4.5),
            ("soft", "tint", 4.5),
            ("accent", "bg", 4.5),
            ("accent", "surface", 4.5),
            ("accent", "tint", 4.5),
            ("hover", "surface", 4.5),
            ("on-accent", "accent", 4.5),
            ("on-accent", "hover", 4.5),
            ("refused", "surface", 4.5),
            ("later", "surface", 4.5),
            ("fine", "surface", 4.5),
            ("edge", "surface", 3.0),
            ("edge", "bg", 3.0),
        ] {
            let ratio = contrast(colour(root, ink), colour(root, ground));
            assert!(ratio >= least, "{theme}: {ink} on {ground} has {ratio:.2}");
        }
    }
}

#[test]
fn every_sort_of_answer_has_an_icon_and_words() {
    for sort in Reason::ALL.iter().map(|reason| sort(*reason)).chain([Sort::Fine]) {
        assert!(!sort.words().is_empty());
        assert!(STYLE.contains(&format!(".{}{{color:", sort.class())), "{sort:?}");
    }
}

#[test]
fn the_policy_names_the_style_that_the_page_has_by_its_hash() {
    let page = SignedOut { just_now: true, sign_in: "/" }.render();
    let style = page.split("<style>").nth(1).unwrap().split("</style>").next().unwrap();
    assert_eq!(style, STYLE);
    let hash = BASE64_STANDARD.encode(digest::digest(&digest::SHA256, style.as_bytes()));
    assert!(csp(&[]).contains(&format!("style-src 'sha256-{hash}'")));
}
