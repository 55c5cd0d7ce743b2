"""A student learns its teacher's distribution; the gradient is an independent computation's; kept on disk, the same."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from tejat import bundle
from tejat.codecs.framing import Modality
from tejat.errors import BadInput
from tejat.export import huggingface
from tejat.model import multimodal
from tejat.parts import Document, Image, Text, Turn, to_json
from tejat.posttrain import distil_answers, distil_loss, distil_teacher, loop
from tejat.posttrain.distil import DistilWork
from tejat.posttrain.distil_loss import Few, Whole
from tejat.posttrain.recipe import Distil
from tejat.train.optimizer import Schedule

B, M, V, D, E = 2, 5, 11, 3, 4


@pytest.fixture(scope="module")
def place():
    """A student's and a teacher's table and states, targets and weights, a place without one among them."""
    random = np.random.default_rng(0)
    normal = lambda *shape: jnp.asarray(random.standard_normal(shape), jnp.float32)  # noqa: E731
    weights = jnp.asarray(random.uniform(0.5, 1.5, (B, M)) * (np.arange(M) < 4), jnp.float32)
    return (
        normal(V, D),
        normal(B, M, D),
        jnp.asarray(random.integers(0, V, (B, M))),
        normal(V, E),
        normal(B, M, E),
        weights,
    )


def direct(table, hidden, targets, probabilities, weights, square_weights, share, cap):
    """The mixed loss by `jax.nn`, all scores at once, for automatic differentiation."""
    scores = jnp.einsum("bmd,vd->bmv", hidden, table)
    scores = scores if cap is None else jnp.tanh(scores / cap) * cap
    log, square = jax.nn.log_softmax(scores), jnp.square(jax.nn.logsumexp(scores, -1))
    hard = -jnp.take_along_axis(log, targets[..., None], -1)[..., 0]
    soft = -(probabilities * log).sum(-1)
    return (weights * ((1 - share) * hard + share * soft) + square_weights * square).sum()


# `most`: places of a row at a time; several parts, of which the last is padded, or all.
@pytest.mark.parametrize(("share", "cap", "most"), [(1.0, None, 100), (0.4, 2.0, 2)])
def test_the_gradient_is_that_of_a_direct_computation(place, share, cap, most):
    table, hidden, targets, theirs, thoughts, weights = place
    probabilities = jax.nn.softmax(jnp.tanh(jnp.einsum("bme,ve->bmv", thoughts, theirs) / 3.0) * 3.0)

    def mine(table, hidden):
        taught = Whole(theirs, thoughts)
        return distil_loss.weighted(
            table, hidden, targets, taught, weights, 0.1 * weights, share, (cap, 3.0), most * B * V
        )

    def wanted(table, hidden):
        return direct(table, hidden, targets, probabilities, weights, 0.1 * weights, share, cap)

    (total, found), gradient = jax.value_and_grad(mine, (0, 1), has_aux=True)(table, hidden)
    expected, expected_gradient = jax.value_and_grad(wanted, (0, 1))(table, hidden)
    np.testing.assert_allclose(total, expected, rtol=1e-5)
    for a, b in zip(gradient, expected_gradient, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    zeros = jnp.zeros_like(weights)
    real = weights > 0
    np.testing.assert_allclose(
        (found.losses * real).sum(),
        direct(table, hidden, targets, probabilities, 1.0 * real, zeros, 0.0, cap),
        rtol=1e-5,
    )
    entropy = -(probabilities * jnp.log(probabilities)).sum(-1)
    divergence = direct(table, hidden, targets, probabilities, 1.0 * real, zeros, 1.0, cap) - (entropy * real).sum()
    np.testing.assert_allclose((found.divergences * real).sum(), divergence, rtol=1e-4)


def test_few_ids_teach_as_their_shares_say(place):
    table, hidden, targets, _, _, weights = place
    random = np.random.default_rng(1)
    ids = jnp.asarray(random.integers(0, V, (B, M, 6)), jnp.int32)  # an id may come twice
    shares = jnp.asarray(random.uniform(0.1, 1.0, (B, M, 6)), jnp.float32)
    probabilities = np.zeros((B, M, V))
    for at in np.ndindex(B, M, 6):
        probabilities[at[:2]][ids[at]] += shares[at] / shares[at[:2]].sum()
    few = Few(ids, shares, jnp.zeros((B, M)))
    mine = jax.grad(lambda t: distil_loss.weighted(t, hidden, targets, few, weights, weights, 0.7)[0])(table)
    wanted = jax.grad(lambda t: direct(t, hidden, targets, jnp.asarray(probabilities), weights, weights, 0.7, None))
    np.testing.assert_allclose(mine, wanted(table), atol=1e-5)


@settings(max_examples=25, deadline=None)
@given(
    arrays.arrays(np.float32, (1, 1, 9), elements=st.floats(-8, 8, width=32)),
    st.sampled_from([1, 5]),
    st.floats(0, 0.9990234375, width=32),
)
def test_an_id_is_drawn_as_often_as_its_probability_says(scores, k, random):
    found = distil_teacher.drawn(jnp.asarray(scores), k, jnp.full((1, 1), random))
    due = np.exp(scores[0, 0].astype(np.float64))
    due *= k / due.sum()
    times = np.bincount(np.asarray(found.ids)[0, 0], minlength=9)
    assert times.sum() == k and (np.abs(times - due) < 1 + 1e-4).all()
    assert (times[due < 1e-7] == 0).all()


def test_draws_are_right_in_the_mean_and_the_likeliest_are_not():
    scores = jnp.asarray(np.random.default_rng(2).standard_normal((1, 1, 12)), jnp.float32)
    whole = np.asarray(jax.nn.softmax(scores))[0, 0]
    random = (np.arange(4_000) + 0.5) / 4_000
    many = distil_teacher.drawn(jnp.broadcast_to(scores, (1, 4_000, 12)), 3, jnp.asarray(random[None], jnp.float32))
    mean = np.bincount(np.asarray(many.ids).ravel(), minlength=12) / many.ids.size
    np.testing.assert_allclose(mean, whole, atol=2e-3)
    np.testing.assert_allclose(many.entropy[0, 0], -(whole * np.log(whole)).sum(), rtol=1e-5)
    top = distil_teacher.likeliest(scores, 3, jnp.zeros((1, 1)))
    assert set(np.asarray(top.ids)[0, 0]) == set(np.argsort(whole)[-3:])
    np.testing.assert_allclose(np.sort(top.shares[0, 0]), np.sort(whole)[-3:] / np.sort(whole)[-3:].sum(), rtol=1e-3)


@pytest.fixture(scope="module")
def sums(talker_at, dialogues):
    """A student half as wide as its teacher, which it is to follow wherever the data have a target."""
    return Distil(
        name="sums",
        student=narrower,
        teacher=talker_at,
        data=dialogues,
        schedule=Schedule(steps=40, peak=2e-2, warmup=2),
        rows=2,
        tokens=96,
        log_every=20,
        save_every=20,
        accumulate=2,
    )


def narrower(config):
    return replace(config, name="student", decoder=replace(config.decoder, width=16, heads=1, mlp=32))


def lines(directory):
    return [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]


def test_a_student_learns_its_teachers_distribution(sums, tmp_path):
    """The teacher's weights are random, so that nothing but its distribution can be learnt."""
    loop.run(DistilWork(sums), tmp_path / "run")
    first, last = lines(tmp_path / "run")
    assert last["text_divergence"] < 0.5 * first["text_divergence"]
    made = bundle.load(tmp_path / "run" / "model")
    assert made.config.decoder.width == 16 and made.vocabulary.model == bundle.load(sums.teacher).vocabulary.model


def test_kept_on_disk_or_not_the_same_weights_come_of_it(sums, tmp_path):
    recipe = replace(sums, kept="drawn", k=8, schedule=replace(sums.schedule, steps=4), log_every=4)
    fly, disk = DistilWork(recipe), DistilWork(replace(recipe, cache=tmp_path / "cache"))
    disk._update = fly._update  # compiled once
    loop.run(fly, tmp_path / "fly")
    loop.run(disk, tmp_path / "disk")
    again = DistilWork(replace(recipe, cache=tmp_path / "cache"))
    again._update, again._teacher._params = fly._update, None  # nobody to ask
    loop.run(again, tmp_path / "again")
    found = {(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("fly", "disk", "again")}
    assert len(found) == 1 and len(list((tmp_path / "cache").glob("batch-*.npz"))) == 4
    with pytest.raises(BadInput, match=r"with k = 8, and the recipe has 9; name another directory as cache"):
        DistilWork(replace(recipe, cache=tmp_path / "cache", k=9))
    other = DistilWork(replace(recipe, cache=tmp_path / "cache", tokens=64))
    other.start(None)
    with pytest.raises(BadInput, match="is of other documents than step 0 has now"):
        other.prepare(other.initial(), 0)
    other.close()
    (tmp_path / "cache" / "batch-0.npz").write_bytes(b"cut")
    disk.start(None)
    with pytest.raises(BadInput, match="remove it, and it is made anew"):
        disk.prepare(disk.initial(), 0)
    disk.close()


@pytest.fixture(scope="module")
def shown(painter_at, speckled, tmp_path_factory):
    """Dialogues in which the user shows a picture and the model draws one."""
    folder = tmp_path_factory.mktemp("shown")
    turns = [
        Turn("user", (speckled, Text("Turn it round."))),
        Turn("model", (Text("There:"), Image(255 - speckled.pixels))),
    ]
    data = folder / "pictures.jsonl"
    data.write_text((json.dumps(to_json(Document.from_turns(turns), folder)) + "\n") * 2)
    return Distil(
        name="shown",
        model=painter_at,
        teacher=painter_at,
        data=data,
        schedule=Schedule(steps=2, peak=1e-2, warmup=1),
        rows=2,
        tokens=160,
    )


def test_a_model_that_teaches_itself_has_nothing_to_learn(shown):
    """Images that are seen and codes that are drawn reach both alike: no divergence in text, and none in codes."""
    work = DistilWork(shown)
    work.start(None)
    state = work.initial()
    (batch, taught), _ = work.prepare(state, 0)
    work.close()
    assert (batch.modality[batch.weights > 0] == Modality.PICTURE).sum() > 6 and batch.inputs.media.patches.shape[1]
    loss = jax.jit(distil_loss.loss, static_argnums=(1, 4))
    _, found = loss(state.params, work.bundle.config, batch, taught, 1.0)
    assert abs(found["text_divergence"]) < 1e-3 and abs(found["picture_divergence"]) < 1e-3 * found["picture_count"]
    assert found["picture_loss"] > found["picture_count"]


def test_a_teachers_answers_are_learnt_as_it_wrote_them(shown, painter, tmp_path):
    recipe = replace(shown, level="sequence", answers=tmp_path / "answers.jsonl", max_tokens=40, temperature=1.0)
    marks = painter.vocabulary
    dialogues = DistilWork(shown)._source
    tokens = [*marks.encode("So"), *painter.framing.codes(np.asarray([[3, 1]])), marks["<turn|>"]]
    answer = distil_answers.Answer(1, tuple(tokens))
    document = distil_answers.Answered(dialogues, [answer], 0)(0)
    assert document.tokens[document.loss].tolist() == tokens and len(document.media) == 1
    kinds = document.modality[document.loss]
    drawn = [Modality.TEXT] * len(marks.encode("So")) + [Modality.PICTURE] * 7 + [Modality.TEXT]
    assert kinds.tolist() == drawn
    work = DistilWork(recipe)  # asks the teacher
    head, *written = [json.loads(line) for line in recipe.answers.read_text().splitlines()]
    assert head["temperature"] == 1.0 and written and work._source.answers[0].tokens == tuple(written[0]["tokens"])
    before = recipe.answers.stat().st_mtime_ns
    assert DistilWork(recipe)._source.answers == work._source.answers and recipe.answers.stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="answers with temperature = 1.0, and the recipe has 0.5"):
        DistilWork(replace(recipe, temperature=0.5))


def test_a_teacher_has_no_more_ids_than_its_vocabulary(sums):
    with pytest.raises(BadInput, match="k is 449; give 1 to 448"):
        DistilWork(replace(sums, kept="drawn", k=449))


def test_a_teacher_that_reads_otherwise_is_refused(shown, talker_at, painter, painter_at, drawn, tmp_path):
    with pytest.raises(BadInput, match="have different tokenizers"):
        DistilWork(replace(shown, teacher=talker_at))
    other = replace(painter.config, vision=replace(painter.config.vision, budgets=(9,)))
    bundle.save(tmp_path / "other", replace(painter, config=other))
    with pytest.raises(BadInput, match=r"vision.budgets is \(16,\) and that of the teacher 'painter' \(9,\)"):
        DistilWork(replace(shown, teacher=tmp_path / "other"))
    pictures = painter.pictures
    codec = type(pictures)(jax.tree.map(lambda a: a + 1, pictures.params), pictures.config)
    bundle.save(tmp_path / "palette", replace(painter, pictures=codec))
    with pytest.raises(BadInput, match="draws with another image tokenizer"):
        DistilWork(replace(shown, teacher=tmp_path / "palette"))


@pytest.mark.slow
def test_an_imported_model_teaches(talker, drawn, sums, tmp_path):
    """Through a Gemma 4 checkpoint, with what its small sizes have and ours have not: inputs of every layer, a cap."""
    shape = replace(talker.config.decoder, per_layer_width=8, per_layer_vocabulary=448, soft_cap=30.0)
    config = replace(talker.config, decoder=shape)
    bundle.save(tmp_path / "ours", replace(talker, config=config, params=drawn(multimodal.params(config), 5)))
    huggingface.export(tmp_path / "ours", tmp_path / "theirs")
    huggingface.import_(tmp_path / "theirs", tmp_path / "teacher")

    def plain(teacher):
        return narrower(replace(teacher, decoder=replace(teacher.decoder, per_layer_width=0, per_layer_vocabulary=0)))

    recipe = replace(sums, teacher=tmp_path / "teacher", student=plain, kept="likeliest", k=32)
    loop.run(DistilWork(recipe), tmp_path / "run")
    first, last = lines(tmp_path / "run")
    assert last["text_divergence"] < 0.7 * first["text_divergence"]
    assert bundle.load(tmp_path / "run" / "model").config.decoder.per_layer_width == 0
