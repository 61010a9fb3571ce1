"""Where files come from: folders, URLs and object stores."""
