//! The command line: arguments to one command; the only place that makes an exit code.

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;
use tiergate::cli;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// A zero-trust access proxy: every request is decided anew, from who asks, from which device, and
/// how sensitive the resource is.
#[derive(Parser)]
#[command(version, about, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the proxy
    Serve {
        /// The configuration file
        #[arg(long, value_name = "FILE", default_value = "/etc/tiergate/tiergate.yaml")]
        config: PathBuf,
    },
    /// Find the mistakes in a folder of policies
    Check(cli::check::CheckArgs),
    /// Print the JSON Schema of a kind of file, for editors
    Schema(cli::schema::SchemaArgs),
    /// Have the running process load its files anew
    Reload(cli::reload::ReloadArgs),
    /// Try the tests of a policy, and name the rules that no test reached
    Test(cli::test::TestArgs),
    /// Explain a decision: each step, the rule and its place, and what would have to be different
    Explain(cli::explain::ExplainArgs),
    /// Print who reaches what from which device
    Matrix(cli::matrix::MatrixArgs),
    /// Compare two policies: what became reachable and what did not
    Diff(cli::diff::DiffArgs),
    /// A development authority pair, not for production: issue and revoke device certificates
    Ca(cli::ca::CaArgs),
    /// Add and change local users
    User(cli::user::UserArgs),
    /// List and change what the running process knows of devices
    Device(cli::device::DeviceArgs),
    /// Make a working estate in one folder and run it, on loopback
    Demo(cli::demo::DemoArgs),
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve { config } => cli::serve::run(&config),
        Command::Check(arguments) => cli::check::run(&arguments),
        Command::Schema(arguments) => cli::schema::run(&arguments),
        Command::Reload(arguments) => cli::reload::run(&arguments),
        Command::Test(arguments) => cli::test::run(&arguments),
        Command::Explain(arguments) => cli::explain::run(&arguments),
        Command::Matrix(arguments) => cli::matrix::run(&arguments),
        Command::Diff(arguments) => cli::diff::run(&arguments),
        Command::Ca(arguments) => cli::ca::run(&arguments),
        Command::User(arguments) => cli::user::run(arguments),
        Command::Device(arguments) => cli::device::run(&arguments),
        Command::Demo(arguments) => cli::demo::run(arguments),
    }
}
