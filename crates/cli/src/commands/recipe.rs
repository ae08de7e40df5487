//! `recipe`: lists the built-in recipes, and prints a recipe in full.

use std::path::PathBuf;

use crate::output::print;
use crate::recipe::Recipe;

/// The subcommands of `recipe`.
#[derive(Clone, Debug, clap::Args)]
pub struct RecipeArgs {
    #[command(subcommand)]
    command: RecipeCommand,
}

#[derive(Clone, Debug, clap::Subcommand)]
enum RecipeCommand {
    /// List the built-in recipes
    List,
    /// Print a recipe with every default filled in; the output is a recipe
    Show {
        /// Recipe: a TOML file or the name of a built-in recipe
        #[arg(value_name = "FILE or NAME")]
        recipe: PathBuf,
    },
}

impl RecipeArgs {
    /// Prints the list, or the recipe.
    ///
    /// # Errors
    /// One line that says what failed, and where.
    pub fn run(&self) -> anyhow::Result<()> {
        match &self.command {
            RecipeCommand::List => {
                let width = Recipe::BUILT_IN.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
                let line = |(name, description): (&str, &str)| format!("{name:width$}  {description}\n");
                print(&Recipe::BUILT_IN.into_iter().map(line).collect::<String>())
            }
            RecipeCommand::Show { recipe } => print(&Recipe::open(recipe)?.to_toml()),
        }
    }
}
