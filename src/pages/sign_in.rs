//! The pages of signing in, proving more, and signing out.

use super::finish;
use askama::Template;

/// One more way to sign in than by user and password.
#[derive(Clone, Copy, Debug)]
pub struct ProviderButton<'a> {
    /// What people read after "Sign in with".
    pub title: &'a str,
    /// Where it starts.
    pub href: &'a str,
}

/// The sign-in form: posts `user`, `password`, `state` and `csrf` to `/sign-in`.
#[derive(Clone, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignIn<'a> {
    /// The host the person wants to get to.
    pub target: Option<&'a str>,
    /// The token that the POST must carry.
    pub csrf: &'a str,
    /// Where to go on afterwards, sealed.
    pub state: &'a str,
    /// The user name, prefilled after an error.
    pub user: &'a str,
    /// What went wrong the last time.
    pub error: Option<&'a str>,
    /// The other ways to sign in.
    pub providers: Vec<ProviderButton<'a>>,
    /// Whose users have a password here: the form asks which where there are several, and without
    /// any there is no form.
    pub local: Vec<LocalUsersOf<'a>>,
}

/// Users with a password here.
#[derive(Clone, Copy, Debug)]
pub struct LocalUsersOf<'a> {
    /// The provider's name: the value of the field `provider`.
    pub name: &'a str,
    /// What people read.
    pub title: &'a str,
}

/// The second factor of a sign-in: posts `code`, `pending`, `state` and `csrf` to `/sign-in/totp`.
#[derive(Clone, Debug, Template)]
#[template(path = "totp.html")]
pub struct Totp<'a> {
    /// The token that the POST must carry.
    pub csrf: &'a str,
    /// Where to go on afterwards, sealed.
    pub state: &'a str,
    /// The sign-in that waits for its second factor, sealed.
    pub pending: &'a str,
    /// What went wrong the last time.
    pub error: Option<&'a str>,
}

/// What a step-up asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StepUpMode {
    /// The code of an authenticator app.
    Totp,
    /// The password once more.
    Password,
}

/// More proof in a session that there is: posts `code` or `password`, `state` and `csrf` to `/step-up`.
#[derive(Clone, Debug, Template)]
#[template(path = "step_up.html")]
pub struct StepUp<'a> {
    /// What is asked for.
    pub mode: StepUpMode,
    /// Who is signed in.
    pub user: Option<&'a str>,
    /// The token that the POST must carry.
    pub csrf: &'a str,
    /// Where to go on afterwards, sealed.
    pub state: &'a str,
    /// What went wrong the last time.
    pub error: Option<&'a str>,
}

/// The login host's own `/` for somebody who is signed in.
#[derive(Clone, Debug, Template)]
#[template(path = "signed_in.html")]
pub struct SignedIn<'a> {
    /// Who is signed in.
    pub user: &'a str,
    /// The token for signing out.
    pub csrf: &'a str,
    /// What the person should know: one sentence.
    pub note: Option<&'a str>,
}

/// Nobody is signed in.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOut<'a> {
    /// Because the person just signed out.
    pub just_now: bool,
    /// Where to sign in.
    pub sign_in: &'a str,
}

/// Whether to sign out: posts `csrf` to `/.tiergate/logout`.
#[derive(Clone, Debug, Template)]
#[template(path = "logout.html")]
pub struct LogoutConfirm<'a> {
    /// Who is signed in.
    pub user: &'a str,
    /// The token that the POST must carry.
    pub csrf: &'a str,
}

/// Something in signing in that did not work, in words.
#[derive(Clone, Debug, Template)]
#[template(path = "problem.html")]
pub struct Problem<'a> {
    /// The heading.
    pub title: &'a str,
    /// What happened and what to do.
    pub text: &'a str,
    /// What to click, and where it leads.
    pub link: Option<(&'a str, &'a str)>,
}

macro_rules! renders {
    ($($page:ty),+) => {$(
        impl $page {
            /// The page as HTML.
            #[must_use]
            pub fn render(&self) -> String {
                finish(Template::render(self))
            }
        }
    )+};
}

renders!(SignIn<'_>, Totp<'_>, StepUp<'_>, SignedIn<'_>, SignedOut<'_>, LogoutConfirm<'_>, Problem<'_>);
