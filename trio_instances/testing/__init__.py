"""What tests of channels and of lifecycle code need: a server that misbehaves on command."""
