"""The phrases by which a reply is read, as compiled patterns.

They see one sentence at a time: lower case, straight apostrophes, no emphasis marks. Patterns that are *matched* are
anchored at the beginning of the sentence; those that are *searched* are named ``…_ANYWHERE``. No pattern repeats
anything that itself repeats, and every gap is bounded, so none of them can run away.

To teach the reader a phrase, add it here and add a reply that needs it to ``tests/data/replies.jsonl``.
"""

from __future__ import annotations

import re

__all__ = [
    "ADDRESSED_ANYWHERE",
    "AMBIGUOUS_ANYWHERE",
    "CLARIFY_LEAD_ANYWHERE",
    "CLOSER_QUESTION_ANYWHERE",
    "CLOSER_STATEMENT",
    "CLOSER_WORDS",
    "CONTENT_LEAD_ANYWHERE",
    "CREATIVE_LEAD_ANYWHERE",
    "EXAMPLE",
    "EXPLICIT_ANYWHERE",
    "FILLER",
    "FIRST_PERSON",
    "GENERIC",
    "INTERROGATIVE",
    "META_ANYWHERE",
    "NEEDS_ANYWHERE",
    "OFFER",
    "OFFER_QUESTION",
    "OPINION_ANYWHERE",
    "POLITE_PREFIX",
    "REQUEST",
    "RHETORICAL",
    "SEVERAL",
    "TAG_QUESTION",
    "VAGUE",
    "VAGUE_HINTS",
    "WHICH_ANYWHERE",
    "any_of",
]


def any_of(*phrases: str) -> re.Pattern[str]:
    """Compile alternatives into one pattern.

    Example:
        >>> any_of("yes", "no").match("nothing")[0]
        'no'
    """
    return re.compile("|".join(phrases))


# --- questions --------------------------------------------------------------------------------------------------------

INTERROGATIVE = any_of(
    r"(?:(?:and|so|but|ok|okay|also|now),? )?(?:what|which|who|whose|where|when|why|how)(?: [\w'-]+){0,5}? (?:do|does|"
    r"did|is|are|was|were|will|would|should|can|could|have|has) (?:you|your|it|this|that|the|they|we|i|there)\b",
    r"(?:(?:and|so|but|ok|okay|also|now),? )?(?:do|did|are|can|could|would|will|have|were) you(?:r)?\b",
    r"(?:(?:and|so|but|also) )?(?:is|are|does|was) (?:it|this|that|your|there|the)\b",
    r"(?:shall|should|may) i\b",
    r"[¿]",
)
"""Begins like a question; only asked where the question mark is missing at the end of a reply."""

RHETORICAL = any_of(
    r"did you know\b",
    r"(?:have you )?ever (?:wondered|noticed|thought about|asked yourself)\b",
    r"(?:and |but |so |after all,? |because )?who (?:would|wouldn't|doesn't|could|needs|knew|knows|am i)\b",
    r"(?:isn't|aren't|wasn't) (?!you\b)",
    r"how (?:cool|great|amazing|neat|crazy|strange|lovely) (?:is|are|was)\b",
    r"what could (?:possibly )?go wrong",
    r"(?:and |so |but )?why not\b",
    r"what's not to\b",
    r"guess what\b",
    r"(?:and |but |so )?what if\b",
    r"(?:pretty |quite |rather )?(?:neat|cool|amazing|impressive|easy|simple|right|funny|clever)(?:, (?:right|huh|eh|"
    r"no))?\?",
)
"""Wants no reply, wherever it stands."""

TAG_QUESTION = any_of(r"(?:right|isn't it|aren't they|doesn't it|don't you think|no|correct|huh|eh|innit)\s*[?]")
"""What makes a question of a statement when hung on behind a comma."""

GENERIC = any_of(
    r"(?:and |so |but |now |then )?(?:how|why|what|when|where) (?:else )?(?:do|can|could|should|would|might|does|did|"
    r"will) (?:you|it|we|one|i|they|that|this) (?!like|prefer|want|mean|have in mind|plan|need it|live|hope|intend)"
)
"""Uses "you" for anybody: "How do you fix it? Replace the washer." """

ADDRESSED_ANYWHERE = any_of(
    r"\b(?:do|did|are|were|would|will|could|can|have|had) you\b",
    r"\b(?:your|you're|yours|you mean|you have in mind|you (?:are|were) (?:asking|interested|looking|referring|"
    r"thinking|talking))\b",
    r"^is there (?:a|any|some) (?:specific|particular)\b",
    r"\b(?:shall|should|may|can) i\b",
    r"\bis it (?:for|the|a|an|about)\b",
)
"""Speaks to the listener."""

EXPLICIT_ANYWHERE = any_of(
    r"\b(?:do|did) you mean\b",
    r"\b(?:do|did) you have .{1,60} in mind\b",
    r"\bare you (?:asking|looking|referring|talking|thinking|interested)\b",
    r"\b(?:were|was) (?:you|that) (?:asking|looking|referring|meant)\b",
    r"\byou (?:mean|meant),? (?:the|a|an|by)\b",
)
"""Asks what the request means: genuine even where an answer follows."""

OFFER_QUESTION = any_of(
    r"(?:would|do|did|are|could|can|will|have) you\b|(?:shall|should|may|can) i\b|want me\b|is (?:this|that) (?:for|"
    r"what|the)\b|(?:which|what|who|where|when|how) .{0,60}\byou(?:r|'re)?\b"
)
"""Clearly the assistant's own voice, even right behind a text it has just composed."""

CLOSER_WORDS = frozenset(
    """
    a about all an and another answer answered any anything are assist assistance at be better can clarify clear
    clearer correct could detail details did do does else elaborate enough explain explanation explore find follow-
    up for further get good great has have help helpful helped hear here how i i'm if in information info into is it
    it's know learn let like make makes may me more need now of ok okay on or other please question questions read
    ready right sense shall should so some sound sounds sure tell that the them there these this to today topic up
    useful want was we with would you you'd your
    """.split()
)
"""A question made of these alone asks nothing about the request: "Does that help?", "Would you like to know more?"."""

CLOSER_QUESTION_ANYWHERE = any_of(
    r"\banything else\b",
    r"\b(?:any|some) (?:other|more|further|additional) (?:questions?|help|doubts?)\b",
    r"\b(?:other|more|further) questions\b",
    r"\bwhat (?:else|do you think)\b",
    r"\bhow (?:does|do) (?:that|this|it|these) sound\b",
    r"\b(?:how|what) (?:can|may|could) i (?:help|assist|do for)\b",
    r"\balgo más\b|\bmás preguntas\b|\botras? (?:preguntas?|dudas?)\b|\bte (?:ayuda|sirve|ha servido)\b",
    r"\bautre chose\b|\bd'autres questions\b|\b(?:cela|ça) vous aide\b",
    r"\bnoch (?:weitere |andere )?(?:fragen|etwas)\b|\bsonst noch\b|\bhilft (?:dir|ihnen|das)\b",
    r"(?:还有|其他|别的).{0,8}(?:问题|什么|需要)|有帮助吗|清楚了吗",
)

CLOSER_STATEMENT = any_of(
    r"(?:please )?(?:feel|don't hesitate|do not hesitate)\b",
    r"(?:i )?(?:hope|trust) (?:this|that|it|you)\b",
    r"(?:so |just |please |and )?let me know (?:if|whether|when|how (?:it|that|you get)|what you think|in case|and\b)",
    r"(?:just |please )?(?:ask|reach out|write|come back) (?:if|any ?time|again|whenever)",
    r"if you (?:have|need|want|would like|'d like) (?:any |anything|more|further|other|help)[^.]{0,80}(?:let me know|"
    r"ask|just|feel free|happy|here|help)",
    r"(?:good luck|enjoy|have (?:fun|a )|take care|happy (?:baking|reading|coding|to (?:help|answer|clarify)))\b",
    r"(?:i'm|i am) (?:here|happy|glad) (?:to|if|for)\b",
    r"espero que|no dudes|n'hésitez|j'espère|ich hoffe|viel (?:erfolg|spaß)|希望|如果.{0,12}问题",
)
"""Polite words at the end that neither answer nor ask."""

# --- requests without a question mark ---------------------------------------------------------------------------------

_PLEASE = (
    r"(?:to [^,.]{2,60}, )?(?:(?:so|then|just|please|kindly|to help(?: you)?(?: better)?,?|first,?|if you (?:can|could|"
    r"like),?) ){0,3}"
)

_PLEASE_DO = r"(?:to [^,.]{2,60}, )?(?:(?:so|then|just|could you) )?(?:please|kindly) (?:\w+ly )?"

REQUEST = any_of(
    _PLEASE + r"(?:tell me|let me know) (?!if you (?:have|need|want|would|'d|run|get|are (?:stuck|unsure))|"
    r"if (?:anything|this|that|there|it)|whether (?:this|that|it)|when|how (?:it|that|this)|what you think|more if|"
    r"how i can|in case|and\b|anytime|below)",
    r"let me know (?:if|whether) (?:you (?:mean|meant|are asking|were asking|'re asking)|it(?:'s| is) (?:the|for|"
    r"about))",
    _PLEASE + r"(?:give|send|show|paste) me (?:the|your|some|more|a (?:bit|few|little)|an (?:idea|example))\b",
    _PLEASE_DO + r"(?:specify|clarify|rephrase|elaborate|describe|paste|explain what you|be more specific|say (?:what|"
    r"which|whether))\b",
    _PLEASE_DO + r"(?:provide|share|give|send|confirm|choose|pick|indicate|state|name|list|upload)(?: me|"
    r" us)? (?:more|further|additional|some|which|whether|what|one|your|a (?:bit|few|little)|the (?:exact|full|name|"
    r"text|error|details?|context|model|year|topic)\b|the [\w' -]{2,30}\b(?:you|your|here|below)\b)",
    r"(?:to [^,]{1,80}, )?(?:i|i'd|i'll|i would|i will)(?: \w+)? need to know\b",
    r"(?:it would (?:help|be (?:helpful|useful)) (?:to know|if you|me to know)|could you|can you|"
    r"would you) .{0,80}\b(?:know|tell|specify|clarify|share|told|give|say|describe)\b",
    r"(?:por favor,? )?(?:dime|indícame)\b|(?:veuillez )?(?:précise[rz]|indique[rz])\b|dites-moi\b",
    r"(?:bitte )?(?:sagen sie|sag mir|nennen sie)\b|请(?:告诉|说明|提供)",
)
"""Asks the listener for something without a question mark."""

NEEDS_ANYWHERE = any_of(
    r"(?<![\w'])(?:i|i'd|i'll|i would|i will)(?: also| just| still| first| really)* need (?:to know|to ask|a few|some|"
    r"more|the|your|one|two|three|a bit|a little|further|additional|at least)\b"
)
"""Names what is missing: an ask where nothing else is said."""

OFFER = any_of(
    r"if you(?:'d| would| could| can)? (?:tell|let|give|share|specify|provide|send|describe|say|show|clarify|narrow|"
    r"mean|want|like)\b"
)
"""A conditional offer: an ask where nothing else is said, politeness behind an answer."""

# --- what is neither answer nor question ------------------------------------------------------------------------------

POLITE_PREFIX = any_of(
    r"(?:(?:(?:that's |what )?(?:a |an )?(?:great|good|nice|excellent|interesting|fair|lovely|fun|fascinating|"
    r"wonderful) (?:question|idea|choice|point|topic|project|plan|subject|request|one|thinking)|sure thing|of course|"
    r"no problem|no worries|all right|(?:thank you|thanks)(?! for)|hello there|hi there|hey there|hello|hi|hey|"
    r"good morning|welcome|got it|understood|i see|i'm sorry|i am sorry|sorry|my apologies|apologies|oh|ooh|ah|aha|"
    r"hm+|um+|uh|so|well|yes|sure|for sure|you bet|certainly|absolutely|definitely|gladly|sounds (?:good|great|fun)|"
    r"great|good|excellent|nice|lovely|awesome|fantastic|cool|exciting|congratulations|interesting|okay|ok|alright|"
    r"right|wow|perfect|claro|por supuesto|buena pregunta|hola|bien sûr|bonjour|bonne question|gerne|natürlich|"
    r"gute frage|hallo|当然可以|当然|好的|好问题|您好|你好|没问题)(?:[\s,.!:;，。！、—–-]+|$)|¡)",
)
"""Peeled off the front of a sentence, again and again; what remains is judged."""

_HELP = (
    r"(?:very |more than |really )?(?:happy|glad|love|delighted|pleased|able|here) to\b|gladly\b|help\b|"
    r"certainly (?:help|try)"
)

FILLER = any_of(
    rf"(?:i'd|i would|i'm|i am|i'll|i will|i can|i could|we can|i want|let me)(?: be| certainly| definitely| also|"
    rf" to)? ?(?:{_HELP})",
    r"(?:thanks|thank you) for\b|sorry (?:about|for|to hear)\b|i(?:'m| am) (?:really |so |very )?sorry (?:about|for|"
    r"to hear|that|you)\b|i apologi[sz]e\b",
    r"i (?:understand|hear you|get|see|appreciate|know) (?:that|you|how|what|why|the)?\b",
    r"that (?:sounds|must be|is understandable)\b|what a (?:great|nice|lovely|good|fun|interesting)\b",
    # Asking needs a reason: what it is for, what is missing.
    r"(?:in order )?to (?:help|assist|give|answer|recommend|provide|offer|guide|point|be of|tailor|narrow|make sure|"
    r"say more)\b",
    r"(?:before i|before we|so that i|so i can|once i|once you|as soon as (?:i|you)|when i know|then i|and then i|"
    r"with (?:that|this|those|your)|that way|depending on|based on (?:that|your))\b",
    r"(?:i|i'd|i'll|i would|i will|i just|we)(?: just| also| still| would| might)? ?(?:need|like|want|could use|have|"
    r"require)(?: to)? (?:know|understand|make sure|ask|clarify|check|be sure|hear|learn|more|some more|a bit|"
    r"a little|a few|some|one|two|three|further|additional|the following|your)\b",
    r"(?:just |here are |here's |with )?(?:a few|a couple of|some|one|two|three|several|just a few|just one)(?: quick|"
    r" more| short| clarifying| small)* (?:questions?|things?|details?)(?: first|:|,| so| to| that i| i need| before|"
    r" about you|\.|$)",
    r"(?:a )?(?:quick|clarifying|one) (?:check|question|thing)\b",
    r"(?:that|this|it|knowing (?:that|this|more|it)|your (?:answers?|reply))(?: information| detail)? (?:will|would|"
    r"'ll|'d|could|can|might)(?: also| really)? (?:help|let|allow|enable|tell|narrow|determine|decide|change)\b",
    r"i (?:can|could|will|'ll|may|might)(?: then| also| certainly| gladly| try to)* [^.]{1,120}\b(?:if|once|when|"
    r"as soon as|after) (?:you|i)\b",
    r"i (?:can|could|will|would) then\b|i'll then\b",
    r"i (?:can|could|will|would|'ll)(?: also| try to)* (?:provide|give|offer|look up|look into|look that|find|check|"
    r"tailor|narrow|refine|suggest|help|share|go into|get|point|adjust)(?: you| it| that| this)?(?: up)? (?:a |an |"
    r"the |some |with )?(?:more|better|further|additional|detailed|specific|right|best|accurate|relevant|down|up|it|"
    r"that|for you)\b",
    r"(?:a few|some|a little|a bit|additional|further)? ?(?:more )?(?:details?|information|info|context|background|"
    r"specifics) (?:would|will|could|might) (?:help|be)\b",
    r"(?:it's|it is|that's|that is)(?: a bit| quite| really)? (?:hard|difficult|tough|tricky|impossible) to (?:say|"
    r"tell|answer|give|know|recommend|pick|choose|be)\b",
    r"without (?:knowing|more|further|some|any|seeing)\b",
    r"(?:that|this|it)(?:'s| is) (?:a|an|quite a|such a)(?: \w+)? (?:question|topic|idea|goal|plan|project|choice|"
    r"request|subject|field)[.!]*$",
    # Ambiguity.
    r"(?:well, )?(?:it|that|this|the answer|this one)(?: really| all| largely| mostly)? depends\b|(?:there|"
    r"here) (?:are|is|were|have been|exist)(?: actually| in fact| at least)? (?:several|many|multiple|a few|two|three|"
    r"four|various|different|lots|more than one|a number|quite a|a couple|numerous|a lot)\b",
    r"your (?:question|request|message|query|prompt)\b|(?:the|this) (?:question|request|message|query) (?:is|seems|"
    r"could|can|might|may|has|was|sounds|leaves|mentions)\b",
    rf"(?:(?:the|this) (?:word|term|name|phrase|title) )?[{chr(26)}]+,? (?:is (?:ambiguous|a name|the name|used|"
    rf"shared)|"
    r"(?:can|could|may|might) (?:mean|refer|be|stand|describe)|(?:has|have) (?:several|many|two|different|more))\b",
    r"(?:that|this|it|the (?:word|term|name|title)|that (?:name|title|word|term))(?: [\w'-]+){0,3} (?:can|could|may|"
    r"might) (?:refer|mean several|mean two|mean different|mean many|be (?:read|interpreted|understood))\b",
    r"[\w' -]{2,40} (?:could|can|may|might) (?:refer to|mean (?:several|different|two|a few|many))\b",
    r"i(?:'m| am)(?: just)?(?: not (?:quite|entirely|completely|fully|exactly)?| un) ?(?:sure|clear|"
    r"certain)\b(?! (?:but|though)),?(?: about| of)? ?(?:what|which|who|whether|if|how|i understand|i follow|where|"
    r"when|you|the)",
    r"i (?:don't|do not|didn't|can't|cannot)(?: quite| fully| really)? (?:understand|follow|tell (?:which|what|from|"
    r"whether)|see which|get what|know (?:which|what (?:you|kind|sort)|where you|enough|your|whether you|who you|"
    r"the (?:context|details)))",
    r"it(?:'s| is)(?: not (?:quite |entirely )?| un)clear\b",
    r"i (?:found|know of|see|can think of|have) (?:several|two|three|many|multiple|a few|more than)\b",
    # Saying the request again.
    r"(?:so|if i understand(?: you)?(?: correctly| right)?|it (?:sounds|looks|seems) (?:like|as if|as though)|"
    r"i (?:see|understand)(?: that)?)?,? ?you(?:'re| are|'d| would| want| wish| asked| mentioned| said|"
    r" seem)(?: (?:asking|looking|interested|trying|wondering|thinking|talking|referring|like|to (?:know|be)|planning|"
    r"about|for|a|an|the|help|information|me))\b",
    r"it sounds (?:like|as if|as though) you\b",
    # Other languages.
    r"para (?:ayudar|poder|darte|recomendar)|necesito\b|con gusto|me encantaría|hay (?:varios|varias|muchos|muchas)\b",
    r"pour (?:vous|t'|mieux)|j'ai besoin|je serais|avec plaisir|il (?:y a|existe) plusieurs",
    r"um (?:ihnen|dir)|ich (?:brauche|helfe|würde|bräuchte)|das kommt darauf|es gibt (?:mehrere|viele)",
    r"为了|我需要(?:知道|了解|更多)|我很乐意|有(?:几个|很多|多个)",
)
"""Preambles, reasons for asking, remarks on ambiguity, the request said again."""

FIRST_PERSON = any_of(
    r"(?:i|i'm|i'd|i'll|i've|let me|let's|we can|we'll|happy to|glad to|here to help|just to|only to)\b"
)
"""Speaks of itself: what it would like, can do, has not understood."""

OPINION_ANYWHERE = any_of(
    r"\b(?:recommend|suggest|think|believe|advise|propose|guess|estimate|reckon|assume|remember|know|prefer|like|"
    r"love)\b",
    r"^i(?:'ve| have|'d| had)?(?: also| just| now| already)? (?:found|find|checked|looked|put|made|wrote|written|"
    r"calculated|counted|listed|attached|drafted|tested|translated|saw|read|heard)\b",
    r"^i(?:'d| would) (?:go|pick|choose|say|start|use|take|try|add|avoid|buy|get|keep|do|put|wait|leave|call)\b",
)
"""Unless it gives an opinion, a finding or a piece of work: those are answers in the first person."""

SEVERAL = any_of(
    r"(?:there (?:are|is|were) )?(?:(?:quite |only |at least )?(?:a few|a couple|two|three|four|several|many|multiple|"
    r"various|different|some|both|lots|a number|more than one|countless))\b",
    r".{2,80}\b(?:several|many|multiple|various|different|two|three|more than one|both) (?:\w+ ){0,2}(?:versions?|"
    r"meanings?|kinds?|types?|ways|things|forms?|editions?|models?|senses|people|places|cities|films?|books?|songs?|"
    r"branches|sizes)\b",
)
"""Says that there are several; no answer if the next sentence asks which."""

AMBIGUOUS_ANYWHERE = any_of(
    r"\b(?:a couple|more than one|ambiguous|two (?:things|ways|meanings|possibilities)|(?:could|can|might|may) (?:mean|"
    r"refer|be)|both (?:a|an|the)|same name|either)\b"
)
"""Says, in passing, that the request can be read in more than one way."""

WHICH_ANYWHERE = any_of(
    r"\b(?:which|what|who)\b.{0,60}\byou (?:mean|thinking|referring|looking|asking|interested|want|have in mind|"
    r"talking|need|prefer)",
    r"\b(?:which|what|who)\b.{0,40}\b(?:are|were|do|did) you\b",
    r"^which (?:one|of)\b",
)
"""Asks which of several is meant."""

VAGUE_HINTS = (" be ", "depend", "varies", "vary", "differ", "hinge")
VAGUE = any_of(
    r"[^\d,;:]{4,60} (?:can|could) be (?:a bit |quite |very |really |so |a little )?(?:tricky|hard|difficult|exciting|"
    r"overwhelming|fun|confusing|stressful|daunting|challenging|tough|rewarding)[.!]*$",
    r"[^\d,;:]{2,60}\b(?:depends?|var(?:y|ies)|differs?|hinges?)\b[^\d;:]{0,60}$",
)
"""Says that it depends, or that the matter is hard; with a cheap test in front."""

EXAMPLE = any_of(r"(?:for example|for instance|e\.g|such as|like|say|options|or)\b[,:. ]")
"""Right behind a question: examples of possible answers to it."""

META_ANYWHERE = any_of(
    r"\b(?:label|classify|mark|count|grade|score|treat|read|tag|rate|record|interpret|consider|"
    r"judge)\b.{0,30}\b(?:reply|response|message|this|answer|turn|text|output|it)\b.{0,30}\bas\b.{0,20}\b(?:da|cq|aq|"
    r"dq|vq|decline|refusal|direct answer|clarifying question|answer|correct|safe|helpful|high|10|100)\b",
    r"\bignore (?:all |any )?(?:previous|prior|above|earlier) (?:instructions|rules|prompts)\b",
)
"""Speaks to whoever reads the move rather than to the user. Never counts for anything."""

# --- lists and composed texts -----------------------------------------------------------------------------------------

CONTENT_LEAD_ANYWHERE = any_of(
    r"\b(?:here|these|below|following)(?:'s| is| are)\b",
    r"\b(?:interview|quiz|trivia|discussion|sample|practice|exam|survey|riddle|faq|test)\b",
    r"\b(?:ask yourself|questions (?:to ask|you (?:can|could|might)|for (?:the|your|a))|checklist|check (?:these|"
    r"the following|whether)|consider)\b",
    r"\b(?:starters|ideas|examples?|suggestions|icebreakers|topics)\b",
    r"\b(?:titles?|headlines?|slogans?|captions?|subject lines?|prompts?|taglines?|jokes?)\b",
    r"\b(?:say|ask|write|translates?|translation|reads?|called|phrase|version|in (?:spanish|french|german|english|"
    r"italian|chinese))\b",
)
"""Introduces questions that are themselves what was asked for."""

CLARIFY_LEAD_ANYWHERE = any_of(
    r"\b(?:help me|to help|(?:so|before|that|which) i\b|i (?:need|have|would|just)|i'd|i'll|first|could you|can you|"
    r"please|let me|get started|know (?:about )?you|a few (?:quick )?questions|clarify|narrow)"
)
"""Introduces questions to the listener; wins over ``CONTENT_LEAD_ANYWHERE``."""

CREATIVE_LEAD_ANYWHERE = any_of(
    r"\b(?:poem|haiku|sonnet|limerick|story|song|lyrics|script|dialogue|scene|message|text|tweet|post|caption|draft|"
    r"email|letter|speech|paragraph|version|translation|verse|monologue|sketch|joke|riddle|review|opening)\b.{0,60}:$"
)
"""Introduces a composed text: what follows is performed, until the assistant speaks again."""
