"""Does a learned structure pay? Its runs beside those of networks that nobody has to learn, paired by seed."""
