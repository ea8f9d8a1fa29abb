"""The commands of ``maxchimp`` by topic; each module registers its own."""
