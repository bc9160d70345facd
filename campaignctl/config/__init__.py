"""Configuration: one class, a sentence for every key, and a place where each value came from.

Later wins: built-in default < configuration file < ``CA_<SECTION>_<KEY>`` < command-line flag. Sections and keys are
two levels deep and no deeper, so that every key has an environment name. ``load_settings`` is the way in for programs;
``Settings(data_dir=...)`` reads neither file nor environment, which is what a test wants.

No error of this module repeats a value, because the value may be a secret.
"""

from campaignctl.config.settings import Key, Settings, env_name, keys
from campaignctl.config.sources import load_settings

__all__ = ["Key", "Settings", "env_name", "keys", "load_settings"]
