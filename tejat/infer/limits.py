"""How many tokens an answer may take, and what cannot be asked of a model."""

from tejat.codecs.framing import Encoded
from tejat.errors import BadInput
from tejat.infer import constraints
from tejat.infer.constraints import Rule
from tejat.infer.options import USUAL_TOKENS, Options
from tejat.model.multimodal import ModelConfig


def limit_of(prompt: Encoded, options: Options, config: ModelConfig, rule: Rule, context: int) -> int:
    """The tokens that the answer may take, within `context` with its prompt.

    Raises BadInput where they do not fit, or the picture asked for does not, or it is to be text as well.
    """
    used = len(prompt)
    if used >= context:
        raise BadInput(f"the prompt has {used:,} tokens, and the context holds {context:,}; shorten it")
    limit = options.max_tokens or min(USUAL_TOKENS, context - used)
    if used + limit > context:
        raise BadInput(
            f"the prompt has {used:,} tokens and the answer may take {limit:,}, which together exceed the context "
            f"of {context:,}; shorten the prompt or ask for at most {context - used:,}"
        )
    begun = int(prompt.tokens[-1] == rule.picture_begin)
    if options.picture_size is not None or begun:
        if options.json_schema is not None or options.regex is not None:
            raise BadInput(
                "a picture is asked for, and an answer of text alone (json_schema, regex); leave one of them out"
            )
        _check_size(options.picture_size or (1, 1), limit + begun, config, rule)
    return limit


def _check_size(size: tuple[int, int], limit: int, config: ModelConfig, rule: Rule) -> None:
    if config.picture is None:
        raise BadInput(f"a picture is asked for, and the model {config.name!r} draws none; use one that does")
    rows, columns = size
    longest = rule.longest
    if not (1 <= rows <= longest and 1 <= columns <= longest):
        raise BadInput(f"a picture of {rows} x {columns} codes is asked for; its sides must be 1 to {longest}")
    if rows * columns > rule.budget:
        raise BadInput(f"a picture of {rows} x {columns} codes is asked for; the model draws at most {rule.budget}")
    if (needed := constraints.picture_tokens(rows, columns)) > limit:
        raise BadInput(
            f"a picture of {rows} x {columns} codes takes {needed:,} tokens, and the answer may have {limit:,}; "
            "raise max_tokens or ask for a smaller picture"
        )
