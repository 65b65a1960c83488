"""`kvitt completion`: what makes a shell complete commands and options."""

import click
from click.shell_completion import get_completion_class

from kvitt.cli.shell import example

_VARIABLE = "_KVITT_COMPLETE"


@click.command(
    epilog=example(
        "kvitt completion bash > ~/.local/share/bash-completion/completions/kvitt",
        'kvitt completion zsh > "${fpath[1]}/_kvitt"',
        "kvitt completion fish > ~/.config/fish/completions/kvitt.fish",
    )
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the script by which a shell completes kvitt's commands and options."""
    kind = get_completion_class(shell)
    assert kind is not None, "click knows every shell of the choice"
    click.echo(kind(ctx.find_root().command, {}, "kvitt", _VARIABLE).source())
