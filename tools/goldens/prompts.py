"""The prompts of the llama.cpp goldens.

Each is (name, kind, text). A "raw" text is tokenized as it stands, without parsing special tokens; a "chat" text is the
one user message of a conversation, rendered with the model's own chat template. All texts were written for Realm, but
for "declaration", which is the Declaration of Independence of the United States (1776, public domain).
"""

from pathlib import Path

DECLARATION = """\
When in the Course of human events, it becomes necessary for one people to dissolve the political bands which have \
connected them with another, and to assume among the powers of the earth, the separate and equal station to which the \
Laws of Nature and of Nature's God entitle them, a decent respect to the opinions of mankind requires that they should \
declare the causes which impel them to the separation.

We hold these truths to be self-evident, that all men are created equal, that they are endowed by their Creator with \
certain unalienable Rights, that among these are Life, Liberty and the pursuit of Happiness.--That to secure these \
rights, Governments are instituted among Men, deriving their just powers from the consent of the governed, --That \
whenever any Form of Government becomes destructive of these ends, it is the Right of the People to alter or to abolish \
it, and to institute new Government, laying its foundation on such principles and organizing its powers in such form, \
as to them shall seem most likely to effect their Safety and Happiness. Prudence, indeed, will dictate that Governments \
long established should not be changed for light and transient causes; and accordingly all experience hath shewn, that \
mankind are more disposed to suffer, while evils are sufferable, than to right themselves by abolishing the forms to \
which they are accustomed. But when a long train of abuses and usurpations, pursuing invariably the same Object evinces \
a design to reduce them under absolute Despotism, it is their right, it is their duty, to throw off such Government, \
and to provide new Guards for their future security.--Such has been the patient sufferance of these Colonies; and such \
is now the necessity which constrains them to alter their former Systems of Government. The history of the present King \
of Great Britain is a history of repeated injuries and usurpations, all having in direct object the establishment of an \
absolute Tyranny over these States. To prove this, let Facts be submitted to a candid world.

He has refused his Assent to Laws, the most wholesome and necessary for the public good.

He has forbidden his Governors to pass Laws of immediate and pressing importance, unless suspended in their operation \
till his Assent should be obtained; and when so suspended, he has utterly neglected to attend to them.

He has refused to pass other Laws for the accommodation of large districts of people, unless those people would \
relinquish the right of Representation in the Legislature, a right inestimable to them and formidable to tyrants only.

He has called together legislative bodies at places unusual, uncomfortable, and distant from the depository of their \
public Records, for the sole purpose of fatiguing them into compliance with his measures.

He has dissolved Representative Houses repeatedly, for opposing with manly firmness his invasions on the rights of the \
people.

He has refused for a long time, after such dissolutions, to cause others to be elected; whereby the Legislative powers, \
incapable of Annihilation, have returned to the People at large for their exercise; the State remaining in the mean \
time exposed to all the dangers of invasion from without, and convulsions within.

He has endeavoured to prevent the population of these States; for that purpose obstructing the Laws for Naturalization \
of Foreigners; refusing to pass others to encourage their migrations hither, and raising the conditions of new \
Appropriations of Lands.

He has obstructed the Administration of Justice, by refusing his Assent to Laws for establishing Judiciary powers.

He has made Judges dependent on his Will alone, for the tenure of their offices, and the amount and payment of their \
salaries.

He has erected a multitude of New Offices, and sent hither swarms of Officers to harrass our people, and eat out their \
substance.

He has kept among us, in times of peace, Standing Armies without the Consent of our legislatures.

He has affected to render the Military independent of and superior to the Civil power.

He has combined with others to subject us to a jurisdiction foreign to our constitution, and unacknowledged by our \
laws; giving his Assent to their Acts of pretended Legislation:

For Quartering large bodies of armed troops among us:

For protecting them, by a mock Trial, from punishment for any Murders which they should commit on the Inhabitants of \
these States:

For cutting off our Trade with all parts of the world:

For imposing Taxes on us without our Consent:

For depriving us in many cases, of the benefits of Trial by Jury:

For transporting us beyond Seas to be tried for pretended offences:

For abolishing the free System of English Laws in a neighbouring Province, establishing therein an Arbitrary \
government, and enlarging its Boundaries so as to render it at once an example and fit instrument for introducing the \
same absolute rule into these Colonies:

For taking away our Charters, abolishing our most valuable Laws, and altering fundamentally the Forms of our \
Governments:

For suspending our own Legislatures, and declaring themselves invested with power to legislate for us in all cases \
whatsoever.

He has abdicated Government here, by declaring us out of his Protection and waging War against us.

He has plundered our seas, ravaged our Coasts, burnt our towns, and destroyed the lives of our people.

He is at this time transporting large Armies of foreign Mercenaries to compleat the works of death, desolation and \
tyranny, already begun with circumstances of Cruelty & perfidy scarcely paralleled in the most barbarous ages, and \
totally unworthy the Head of a civilized nation.

In every stage of these Oppressions We have Petitioned for Redress in the most humble terms: Our repeated Petitions \
have been answered only by repeated injury. A Prince whose character is thus marked by every act which may define a \
Tyrant, is unfit to be the ruler of a free people.

Nor have We been wanting in attentions to our Brittish brethren. We have warned them from time to time of attempts by \
their legislature to extend an unwarrantable jurisdiction over us. We have reminded them of the circumstances of our \
emigration and settlement here. We have appealed to their native justice and magnanimity, and we have conjured them by \
the ties of our common kindred to disavow these usurpations, which, would inevitably interrupt our connections and \
correspondence. They too have been deaf to the voice of justice and of consanguinity. We must, therefore, acquiesce in \
the necessity, which denounces our Separation, and hold them, as we hold the rest of mankind, Enemies in War, in Peace \
Friends.

We, therefore, the Representatives of the united States of America, in General Congress, Assembled, appealing to the \
Supreme Judge of the world for the rectitude of our intentions, do, in the Name, and by Authority of the good People of \
these Colonies,"""

STORY = (Path(__file__).parent / "text.txt").read_text(encoding="utf-8").split("Finding the middle")[0]

SQUARES = "n,square,cube\n" + "".join(f"{n},{n * n},{n**3}\n" for n in range(1, 81))

PROMPTS = [
    # English.
    ("one-token", "raw", "The"),
    ("paris", "chat", "What is the capital of France?"),
    ("greeting", "chat", "hi"),
    ("garden", "raw", "The garden behind the old school had been locked for years, and when they opened the gate at last,"),
    ("photosynthesis", "chat", "Explain photosynthesis to a ten-year-old in three sentences."),
    (
        "rewrite",
        "chat",
        "Rewrite this politely:\n\n\"Your report is late again. I need it today. If I don't have it by five, don't bother.\"",
    ),
    (
        "tides",
        "raw",
        "Question: Why are there two high tides a day and not one?\n"
        "Answer: The Moon pulls the near side of the Earth harder than its centre, and its centre harder than the far side.",
    ),
    ("declaration", "raw", DECLARATION),
    ("summary", "chat", "Summarize the following notes in five short points.\n\n" + STORY),
    # Code.
    (
        "go",
        "raw",
        "// Reverse returns s with its runes in reverse order.\n"
        "func Reverse(s string) string {\n\trunes := []rune(s)\n\tfor i, j := 0, len(runes)-1; i < j; i, j = i+1, j-1 {\n",
    ),
    (
        "python",
        "raw",
        'import heapq\n\n\ndef shortest_path(graph, start, goal):\n    """Dijkstra over a dict of dicts of weights."""\n'
        "    distance = {start: 0}\n    queue = [(0, start)]\n    while queue:\n",
    ),
    ("c", "chat", "Write a C function that counts the set bits of a 64-bit integer without a lookup table."),
    (
        "rust-sql",
        "raw",
        "```sql\nSELECT c.name, COUNT(*) AS orders\nFROM customers c JOIN orders o ON o.customer_id = c.id\n"
        "GROUP BY c.name HAVING COUNT(*) > 3;\n```\n\n```rust\nstruct Row {\n    name: String,\n    orders: u64,\n}\n\n"
        "impl Row {\n",
    ),
    (
        "html",
        "raw",
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n  <meta charset=\"utf-8\">\n  <title>Opening hours</title>\n"
        "  <style>\n    table { border-collapse: collapse; }\n",
    ),
    # Other languages and scripts.
    ("french", "raw", "Au marché du samedi, la vieille dame vendait des œufs, du miel et des histoires. Ce matin-là,"),
    ("german", "chat", "Erkläre kurz, warum der Himmel blau ist und Sonnenuntergänge rot sind."),
    ("russian", "raw", "Зимой река замерзает, и дети катаются на коньках до самого вечера. Однажды"),
    ("chinese", "raw", "春天来了，山坡上的桃花都开了。爷爷带着我去河边钓鱼，他说："),
    ("japanese", "chat", "東京から京都まで新幹線でどのくらいかかりますか。"),
    ("arabic", "raw", "في الصباح الباكر فتح الخباز دكانه الصغير، وكانت رائحة الخبز تملأ الشارع"),
    ("hindi", "raw", "बारिश के बाद गाँव की गलियों में बच्चे कागज़ की नाव चला रहे थे।"),
    ("korean", "chat", "김치찌개를 만드는 방법을 간단히 알려 주세요."),
    # Everything that is not prose.
    ("emoji", "raw", "🎉🎂 Happy birthday!! 🥳 Menu: 🍕🍔🌮 + 👩‍🍳👨‍👩‍👧‍👦 🇫🇷🇯🇵 = "),
    ("json", "raw", '{"orders": [{"id": 1007, "total": 48.50, "items": ["nut", "bolt"], "paid": true}, {"id": 1008, "total":'),
    (
        "table",
        "raw",
        "| City | Population | Area (km2) | Density |\n|---|---:|---:|---:|\n| Springvale | 120,400 | 86.0 | 1,400 |\n"
        "| Port Anders | 98,100 | 65.4 | 1,500 |\n| Low Marsh |",
    ),
    ("sums", "chat", "What is 17 * 23? Then subtract 91 and divide by 4. Show each step."),
    ("squares", "raw", SQUARES),
    ("whitespace", "raw", "\n\n\n\t\tone  two   three    four\r\n\r\n        five\t\t\tsix \u00a0\u2003seven        \n   \n\n  "),
    ("repeats", "raw", "ha" * 40 + "\n" + "=" * 70 + "\n" + "aAaAaA " * 12 + "...!!!???" * 4),
    ("special-as-text", "raw", "The tokens <|im_start|> and <|im_end|> stand round each message; <s>, </s> and <unk> are"),
]
