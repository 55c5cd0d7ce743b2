"""Attribution, answers from memory, and owning up: items that no training code knows of, and how answers are judged.

    worlds      ships, birds, dishes, flights, bands, lakes, courses that were made up, and passages about them
    cases       items that can be answered and items that cannot, from text, pictures and recordings, in six languages
    prompts     prompts written by hand, in five languages
    judging     right, wrong or hedged; whether an answer is borne out by its source
    risk        wrong answers among those given, at a coverage; the curve and its area
    measuring   the tasks of the suite, which share the answers to one set of items
    policies    what answers alike whatever it is asked: always unsure, with a guess or not, or the passage back

Relations, names, wordings, ways to spoil a picture and reasons why a question cannot be answered are other ones than
those of `tejat.posttrain.behaviours`; neither imports the other (`tests/evals/test_factuality.py` sees to it).
"""
