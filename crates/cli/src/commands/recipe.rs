//! `recipe`: which recipes there are, and what one says in full.

use std::path::PathBuf;

use crate::command_line::print;
use crate::recipe::Recipe as Settings;

/// List the built-in recipes, or print one in full
#[derive(Clone, Debug, clap::Args)]
pub struct RecipeArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum Command {
    /// List the built-in recipes
    List,
    /// Print a recipe with every default filled in; what is printed is a recipe again
    Show {
        /// A TOML file, or a built-in name
        #[arg(value_name = "FILE or NAME")]
        recipe: PathBuf,
    },
}

impl RecipeArgs {
    /// Prints the recipes, or one.
    ///
    /// # Errors
    /// Whatever went wrong, in one line that says what and where.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            Command::List => {
                let width = Settings::BUILT_IN.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                let line = |(name, what): (&str, &str)| format!("{name:width$}  {what}\n");
                print(&Settings::BUILT_IN.into_iter().map(line).collect::<String>())
            }
            Command::Show { recipe } => print(&Settings::open(recipe)?.to_toml()),
        }
    }
}
