"""The training core: one step, one loop, events out and commands in. It knows neither disk nor web."""
