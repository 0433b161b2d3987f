//! Printing for people and scripts who may stop reading: `vanthu … | head` ends silently.
//!
//! `println!` of the standard library panics when nobody reads any more. Within the command line these
//! macros stand in its place, so that no command has to think of it.

use std::fmt::Arguments;
use std::io::{ErrorKind, Write as _};

/// What a shell reports for a program that SIGPIPE ended; a verdict that nobody read is no success.
const READER_IS_GONE: i32 = 128 + 13;

/// Writes to stdout; ends the process if its reader is gone.
pub(super) fn write(text: Arguments<'_>) {
    let outcome = std::io::stdout().lock().write_fmt(text);
    match outcome {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::BrokenPipe => std::process::exit(READER_IS_GONE),
        Err(error) => {
            speak(format_args!("vanthu: error: stdout: {error}\n"));
            std::process::exit(super::Exit::Other as i32);
        }
    }
}

/// Writes to stderr, where nobody has to listen.
pub(super) fn speak(text: Arguments<'_>) {
    let _ = std::io::stderr().lock().write_fmt(text);
}

macro_rules! println {
    ($($part:tt)*) => {
        $crate::cli::stdout::write(format_args!("{}\n", format_args!($($part)*)))
    };
}

macro_rules! print {
    ($($part:tt)*) => { $crate::cli::stdout::write(format_args!($($part)*)) };
}

macro_rules! eprintln {
    ($($part:tt)*) => {
        $crate::cli::stdout::speak(format_args!("{}\n", format_args!($($part)*)))
    };
}
