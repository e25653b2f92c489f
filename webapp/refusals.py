"""What calculations refuse, as templates, so that a refusal is said in the reader's language.

`valuation` speaks English sentences with their facts put in; `language.in_words` finds the template again.
"""

SENTENCES = (
    "are all capped: leave one entry without most_fen, so that every fen is placed",
    "has the players {players}, but the scheme names {parties}",
    "is missing",
    "is nested more than {most} deep",
    "is needed by this scheme and was not stated before: state it",
    "is no fact of this scheme",
    "is not known here; known are {known}",
    "is the last step, but leaves a part unplaced: end with a pool, a contribution, or tiers whose "
    "ratios are all 1",
    "is {fen} fen, but must be above the band before, which ends at {below} fen",
    "is {fen} fen, which is more than the cap of {cap} fen",
    "is {fen} fen, but must be at least {least}",
    "is {value}, but must be one of {choices}",
    "is {value}: write it as {exact}",
    "must be a contribution document",
    "must be a name in lower case that does not end in _fen: it is a document",
    "must be a name in lower case that ends in _fen",
    "must be the name or number of a party, 1 to 120 characters",
    "must name either a party or steps of its own",
    "must name either the fact that is the contribution document, or hold the document",
    "must state either amount_fen or the fact that tells the sum",
    "places all that is left, but must then be the last step",
    "sum to {sum}, but must sum to exactly 1",
    "the last band is open: leave up_to_fen out",
    "up_to_fen is missing: only the last band is open",
    "{fact} is named twice: each fact serves one step",
    "{party} is named twice",
    "{party} stands in the pool twice",
)
