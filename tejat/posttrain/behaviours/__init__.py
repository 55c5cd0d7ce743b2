"""Three behaviours as dialogues: answer from the source that is given, answer from memory, or say that one cannot.

    passages   people, places and things that were made up, told in a few sentences; some of what is asked is not told
    known      facts of the corpus: from memory, or from a passage that contradicts them; and what is asked about
               things that do not exist, or from a wrong premise
    pages      pages of handbooks in many languages: the sentence that speaks of a word, if there is one
    missing    what is asked of a picture, a recording or a text that is not there, or of what nobody told
    seen       passages and signs as pictures, some illegible
    heard      recordings, some without a word in them
    refusing   requests that would do harm, and others that only sound like them

Every kind has questions that can be answered beside those that cannot, worded alike, so that neither the topic nor the
form of a question gives away whether to answer. What is right follows from how a dialogue is made. `mixture` mixes them
into dialogues about everything else. What is measured is made elsewhere (`tejat.evals.factuality`), with other
relations, wordings and reasons; no module here is imported there, nor the other way round.
"""
