"""How accurate this installation is, measured against shapes whose margins are known exactly."""
