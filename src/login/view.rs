//! What the pages show, as data; how they look is not decided here.
//!
//! Invariants: every text from outside is escaped where it is rendered; no page says whether a
//! user exists, or more of the policy than what the user has to do.

use crate::pages::{self, LocalUsersOf, ProviderButton, StepUpMode};

/// One page.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum View {
    /// User and password, and the other ways to sign in.
    SignIn(SignIn),
    /// The password was right; the second factor is due.
    Totp(Totp),
    /// A second factor for a session that began without one.
    StepUp(StepUp),
    /// More than one way to sign in, none of them a password here.
    Choose(Choose),
    /// The login host's own page for who is signed in.
    SignedIn(SignedIn),
    /// Nobody is signed in.
    SignedOut(SignedOut),
    /// Asks whether to sign out.
    ConfirmSignOut(ConfirmSignOut),
    /// Something went wrong.
    Problem(Problem),
}

/// `POST /sign-in` with `user`, `password`, `provider`, `csrf`, `state`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignIn {
    /// The field `csrf`.
    pub csrf: String,
    /// The field `state`.
    pub state: String,
    /// What was wrong with the last try: one sentence.
    pub error: Option<String>,
    /// What stands in `user` to begin with.
    pub user: String,
    /// The field `provider`: the first where there are several.
    pub local: Vec<Provider>,
    /// The other ways to sign in.
    pub others: Vec<Link>,
    /// The host that the user goes on to.
    pub target: Option<String>,
}

/// Users of tiergate's own.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Provider {
    /// The value of the field.
    pub name: String,
    /// What people read.
    pub title: String,
}

/// A link on the same host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Link {
    /// What people read.
    pub title: String,
    /// A path with its query.
    pub href: String,
}

/// `POST /sign-in/totp` with `code`, `pending`, `csrf`, `state`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Totp {
    /// The field `csrf`.
    pub csrf: String,
    /// The field `state`.
    pub state: String,
    /// The field `pending`.
    pub pending: String,
    /// What was wrong with the last try: one sentence.
    pub error: Option<String>,
    /// The host that the user goes on to.
    pub target: Option<String>,
}

/// `POST /step-up` with `code`, `csrf`, `state`; or no form, where the user has no authenticator.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StepUp {
    /// The field `csrf`.
    pub csrf: String,
    /// The field `state`.
    pub state: String,
    /// Whether the user has an authenticator; without one, an administrator must set it up.
    pub has_authenticator: bool,
    /// Who is signed in.
    pub user: String,
    /// What was wrong with the last try: one sentence.
    pub error: Option<String>,
    /// The host that the user goes on to.
    pub target: Option<String>,
}

/// Which provider to sign in with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Choose {
    /// One for each provider.
    pub providers: Vec<Link>,
    /// The host that the user goes on to.
    pub target: Option<String>,
}

/// Who is signed in; `POST /sign-out` with `csrf`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedIn {
    /// Who.
    pub user: String,
    /// The field `csrf`.
    pub csrf: String,
    /// What the user should know: one sentence.
    pub note: Option<String>,
}

/// Nobody is signed in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SignedOut {
    /// Because the user just signed out.
    pub just_now: bool,
    /// Where to sign in: a path, or the URL of the login host.
    pub sign_in: String,
}

/// `POST /.tiergate/logout` with `csrf`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConfirmSignOut {
    /// Who is signed in.
    pub user: String,
    /// The field `csrf`.
    pub csrf: String,
}

/// Something went wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Problem {
    /// What, in a few words.
    pub title: String,
    /// What to do, in a sentence or two.
    pub text: String,
    /// Where to go on: a path on the same host.
    pub link: String,
}

impl Problem {
    pub(super) fn new(title: &str, text: &str, link: &str) -> Self {
        Self { title: title.to_owned(), text: text.to_owned(), link: link.to_owned() }
    }
}

impl View {
    /// Whether the page has a form to send.
    #[must_use]
    pub fn has_form(&self) -> bool {
        match self {
            Self::SignIn(_) | Self::Totp(_) | Self::SignedIn(_) | Self::ConfirmSignOut(_) => true,
            Self::StepUp(page) => page.has_authenticator,
            Self::Choose(_) | Self::SignedOut(_) | Self::Problem(_) => false,
        }
    }

    /// The `host[:port]` that the answer to the form leads to.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::SignIn(page) => page.target.as_deref(),
            Self::Totp(page) => page.target.as_deref(),
            Self::StepUp(page) => page.target.as_deref(),
            Self::Choose(page) => page.target.as_deref(),
            Self::SignedIn(_) | Self::SignedOut(_) | Self::ConfirmSignOut(_) | Self::Problem(_) => None,
        }
    }
}

/// The page as HTML.
#[must_use]
pub fn render(view: &View) -> String {
    match view {
        View::SignIn(page) => pages::SignIn {
            target: page.target.as_deref(),
            csrf: &page.csrf,
            state: &page.state,
            user: &page.user,
            error: page.error.as_deref(),
            providers: buttons(&page.others),
            local: page
                .local
                .iter()
                .map(|users| LocalUsersOf { name: &users.name, title: &users.title })
                .collect(),
        }
        .render(),
        View::Totp(page) => pages::Totp {
            csrf: &page.csrf,
            state: &page.state,
            pending: &page.pending,
            error: page.error.as_deref(),
        }
        .render(),
        View::StepUp(page) if page.has_authenticator => pages::StepUp {
            mode: StepUpMode::Totp,
            user: Some(&page.user),
            csrf: &page.csrf,
            state: &page.state,
            error: page.error.as_deref(),
        }
        .render(),
        View::StepUp(page) => pages::Problem {
            title: "A second factor is needed",
            text: &format!(
                "The page you opened needs more than a password, and {} has no authenticator yet. \
                 Ask your IT help desk to set one up.",
                page.user
            ),
            link: None,
        }
        .render(),
        View::Choose(page) => pages::SignIn {
            target: page.target.as_deref(),
            csrf: "",
            state: "",
            user: "",
            error: None,
            providers: buttons(&page.providers),
            local: Vec::new(),
        }
        .render(),
        View::SignedIn(page) => {
            pages::SignedIn { user: &page.user, csrf: &page.csrf, note: page.note.as_deref() }.render()
        }
        View::SignedOut(page) => {
            pages::SignedOut { just_now: page.just_now, sign_in: &page.sign_in }.render()
        }
        View::ConfirmSignOut(page) => pages::LogoutConfirm { user: &page.user, csrf: &page.csrf }.render(),
        View::Problem(page) => {
            pages::Problem { title: &page.title, text: &page.text, link: Some(("Continue", &page.link)) }
                .render()
        }
    }
}

fn buttons(links: &[Link]) -> Vec<ProviderButton<'_>> {
    links.iter().map(|link| ProviderButton { title: &link.title, href: &link.href }).collect()
}
