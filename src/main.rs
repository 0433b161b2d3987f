//! The `vanthu` command.

fn main() -> std::process::ExitCode {
    vanthu::cli::run()
}
