"""What a wordy assistant without a model adds to an answer, by kind of task, and what it says where it has none.

Every paragraph stands on its own and follows any other. Nothing here names a number or a name, asks anything, says how long the
reply is, or vouches for what stands above it, so it neither helps nor hurts whatever the answer itself is worth.
"""

from __future__ import annotations

__all__ = ["GENERIC", "NOTES", "PADDING", "STAND_IN", "UNKNOWN"]

Paragraphs = tuple[tuple[str, ...], ...]

_FACT: Paragraphs = (
    (
        "This is the kind of information that is well documented, so it is easy to look up.",
        "A good encyclopedia has it near the top of the article, usually in the summary box at the side.",
        "Where independent reference works say the same, you can be confident.",
    ),
    (
        "Sources sometimes differ in small ways, because they count, round or define things differently.",
        "That is seldom a mistake: they simply draw the line at a different place.",
        "When you quote it, it helps to mention which source you used and what exactly it refers to.",
        "Your readers can then see at once what is meant, even where their own book says something slightly different.",
    ),
    (
        "Many names are shared by different people, places and events, and that is where most mix-ups begin.",
        "A look at the surrounding details, such as the period or the region, usually settles the matter.",
        "Old maps, old newspapers and old school books can mislead in the same way, since names change over time.",
    ),
    (
        "To remember it, tie it to something that you know already.",
        "A picture, a journey or a person that you connect with the subject works better than repeating the words.",
        "People who prepare for quizzes often write such facts on cards and go through them on different days.",
        "The breaks between those rounds matter more than the rounds themselves.",
    ),
    (
        "The history of the subject is a good place to begin, should you be curious about the background.",
        "It shows how the present state of knowledge came about, and which older claims turned out to be wrong.",
        "School lessons tend to leave that part out, although it is often the most entertaining.",
        "A museum, a documentary or a well-written popular book can bring it to life.",
    ),
    (
        "For a school paper or a presentation, the original source is worth the extra effort.",
        "Librarians are very good at finding it, and most of them enjoy the hunt.",
        "Statistics offices, academies and learned societies publish a great deal that anybody may read.",
        "Their pages state when an entry was last revised, which many secondary sources leave out.",
    ),
    (
        "Some care is advisable with lists that are copied from site to site.",
        "An error in such a list travels with it, and soon it seems to be confirmed everywhere.",
        "It is safer to look for pages that say where their information comes from.",
        "The best of them give a full reference, so that you can read the passage yourself.",
    ),
)
_HOW_TO: Paragraphs = (
    (
        "Read through all of this before you begin, so that nothing catches you by surprise.",
        "Have everything that you need within reach, because searching for something in the middle is where things go wrong.",
        "A calm moment without interruptions makes it a good deal easier.",
    ),
    (
        "The order matters: each step prepares the following, and skipping ahead rarely saves time.",
        "When something doesn't seem to work, go back to the last point where all was well and continue from there.",
        "Haste is hardly ever the right remedy.",
        "If anything goes differently than expected, there is usually a reason, and it pays to find out.",
    ),
    (
        "Details differ from case to case, and what you have before you may look slightly different.",
        "That changes little about the principle, as long as you know what each step is good for.",
        "Instructions that came with the things you use take precedence over general advice like this.",
        "A video can help as well, since some moves are easier to watch than to describe.",
    ),
    (
        "You can tell that it has worked when the trouble you began with is gone and stays away.",
        "Give it a moment before you judge the outcome.",
        "A small flaw is no reason to begin again from scratch.",
    ),
    (
        "Anybody who has done this often has a few tricks of their own, and opinions differ on the finer points.",
        "What is described here is the common way, which most guides recommend to beginners.",
        "With some experience you will notice which steps can be varied and which can't.",
    ),
    (
        "Stop when you feel unsure, and ask somebody with experience for advice.",
        "People are usually glad to show what they know, and a look from outside often finds the problem quickly.",
        "Professional help costs something, but it costs less than repairing the damage afterwards.",
        "Nobody will think less of you for asking early.",
    ),
    (
        "A note of what you did, and in which order, makes it much faster the next time.",
        "A photo of the situation before and after serves the same purpose.",
        "Should the trouble come back within days, something else is behind it, and a closer look is in order.",
        "Write down what was different in that case, because such details are forgotten surprisingly fast.",
    ),
    (
        "If you have tried something else already, keep in mind what it may have changed.",
        "An earlier attempt can leave things in a state that the usual steps don't expect.",
        "It then helps to undo that attempt, as far as possible, before you go on.",
    ),
)
_ARITHMETIC: Paragraphs = (
    (
        "A good check is to work backwards from the result to the numbers you started with.",
        "If you arrive at them again, the calculation is sound.",
        "A rough estimate with rounded numbers serves as another safeguard.",
        "When estimate and result are far apart, a decimal point or a unit has usually gone astray.",
    ),
    (
        "Units deserve a close look, because they are where most slips happen.",
        "Write them next to every quantity, and let them cancel just as the numbers do.",
        "Whatever is left at the end has to be the unit that you were asked for.",
    ),
    (
        "Rounding is best left to the very end.",
        "Rounding along the way looks harmless, but the small errors add up.",
        "For everyday purposes a rounded value is fine, while an exam may want the exact form.",
    ),
    (
        "If your numbers change, the same steps apply: put the new values in place of the old and go through them again.",
        "A spreadsheet does this well, since you can see at a glance how the result follows the input.",
        "Put each quantity in a cell of its own, with a label beside it, and refer to those cells in the formula.",
        "That way nothing is hidden, and somebody else can follow what you did.",
    ),
    (
        "A sketch or a small table often helps more than a formula.",
        "It shows which quantity depends on which, and what is known already.",
        "Many textbook problems look difficult only because the wording hides a simple relation.",
        "Once that relation is on paper, the rest is routine.",
    ),
    (
        "A pocket calculator is a good servant, but it does what you type and not what you mean.",
        "Parentheses around every sum and every quotient prevent most misunderstandings.",
        "Typing everything in again, in a different order, is a cheap way to catch a slip of the finger.",
    ),
    (
        "For practice, change a value and predict in which direction the result will move before you compute it.",
        "This builds a feeling for the size of things, which is worth more than speed.",
        "Teachers like to see the steps as well as the result, because they show where an error crept in.",
        "Writing them below each other, with a word of explanation, takes little time and saves marks.",
    ),
    (
        "In daily life it is worth asking how precise the input was.",
        "A result can't be more precise than the measurements behind it, however many decimals a display may show.",
        "Where the input is a guess, it is honest to say so and to give a range.",
    ),
)
_WRITING: Paragraphs = (
    (
        "Before you use this draft, give the particulars a last look, since those are what people notice when they are wrong.",
        "Reading it aloud is the quickest way to hear where a sentence stumbles.",
    ),
    (
        "The tone is a matter of taste, and you know your readers better than anybody.",
        "If you would like it warmer, I can add a personal line near the beginning.",
        "If you want it more formal, I can change the opening and the closing words.",
        "If you would like to keep the tone but vary the wording, I can offer another version.",
    ),
    (
        "A blank line between the parts makes a text easier on the eye.",
        "On a screen, several small paragraphs work well, while on paper the lines may run on.",
        "If you want to print it, I can suggest a layout with a heading and generous margins.",
    ),
    (
        "If you would like a sentence about the background, I can put it in the middle, where it does not get in the way.",
        "If you want to leave something out, I can close the gap so that it still reads smoothly.",
        "The order of the points can be changed freely, as long as the most important one stays near the top.",
    ),
    (
        "If somebody else should look at it before you use it, choose a person who doesn't know the matter.",
        "What such a reader stumbles over is what the text leaves open.",
        "A night's sleep does the same for many writers: the weak spots show in the morning.",
    ),
    (
        "If you would rather use your own words, take the order of the points from here and write freely.",
        "It will then sound more like you, and people who know you will hear the difference.",
        "If you want me to, I can compare your version with this one and point out what is missing.",
    ),
    (
        "If you want the same text in another language, I can translate it and keep the tone.",
        "If you would like it for another occasion later, I can turn it into a template with gaps to fill in.",
        "It is worth keeping a copy, because such texts are needed again sooner than one thinks.",
    ),
    (
        "Spelling and punctuation follow common usage, and house rules take precedence where there are any.",
        "If you want a different spelling throughout, I can adjust it from beginning to end.",
        "A spelling checker will not notice a wrong name, so that part is best done by eye.",
        "If you would like me to mark the particulars, I can set them in bold for that last look.",
    ),
    (
        "If you want to try different endings, I can write a few more to choose from.",
        "The ending stays in the memory longest, so a little extra care is well spent there.",
        "If you would like a more personal ending, I can work in a memory that you share with the reader.",
        "If you want it to end on a practical note, I can close with what should happen next.",
    ),
)
PADDING: dict[str, Paragraphs] = {
    "arithmetic": _ARITHMETIC,
    "fact": _FACT,
    "how_to": _HOW_TO,
    "writing": _WRITING,
}
"""Paragraphs for each kind of task."""
NOTES = ("writing",)
"""Kinds whose first paragraph introduces the others, as notes on a draft."""

UNKNOWN = (
    "I have no answer to give: I speak from a script and know nothing about the subject.",
    "This is the place of an answer, but I speak from a script and have none to give.",
    "A real assistant would answer at this point, while I only speak from a script and know nothing.",
)
"""Where nothing is known at all."""
STAND_IN: Paragraphs = (
    (
        "The lines below merely take up the room that such an answer would need.",
        "They are here so that the conversation can be played to its end without a model.",
        "Nothing in them is of any use for the matter itself.",
    ),
    (
        "The script knows which move it wants to make and how long a reply of that sort usually is.",
        "It does not know the subject, and it makes no attempt to guess.",
        "A wrong guess would look like knowledge, and that would be worse than an empty page.",
    ),
    (
        "With a lookup of answers behind it, the same script would put the answer in the opening line.",
        "With a language model behind it, the whole reply would be written anew.",
        "Both can be plugged in without a change to the rest of the game.",
    ),
    (
        "People who study strategies rather than contents can work with such stand-ins very well.",
        "What they look at is who asks, who answers, and what that costs each side.",
        "The words are only there to make the record readable.",
    ),
    (
        "Reading on is therefore a matter of patience rather than of learning.",
        "The length alone is real, and a reader who dislikes long replies will dislike this as well.",
        "That is as it should be, because the length of a reply is part of what is being studied.",
    ),
    (
        "A stand-in like this is graded as wrong, and rightly so.",
        "Somebody who receives it may complain, ask again or leave, just as with any other poor reply.",
        "The script takes no offence at that and carries on.",
    ),
)
"""Padding around ``UNKNOWN``."""

GENERIC: dict[str, str] = {
    "fact": (
        "I can't commit myself here: more than a single case fits those words, and each of them has an answer of its own."
    ),
    "how_to": (
        "In general it goes like this: make sure what exactly you are dealing with, look for a guide to precisely that, and "
        "follow it step by step."
    ),
    "writing": (
        "Here is a neutral frame to fill in.\n\n"
        "Dear [name],\nI am writing to you about [matter]. [What the reader should know goes here.] "
        "With best wishes, [your name]"
    ),
    "arithmetic": (
        "As no figures were given, all I have is the path: write down the known quantities, put them into the formula that "
        "connects them, and solve for the unknown."
    ),
}
"""What is said, in general, where the words left open what was meant."""
