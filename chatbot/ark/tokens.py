"""Estimates the most tokens that a text can take, before a server counts them."""

import functools
import re

PER_MESSAGE = 8
"""The most tokens of the role and the separators of one message."""

MOST_OF_PICTURE = 1_600
PER_PICTURE = 128
PER_PAGE = 2_000
"""Tokens of a page of a PDF. Ark does not document how it counts them: a page as a picture, with
its text."""

LONGEST_KEPT = 8_000
"""Longest text, in characters, whose estimate is cached."""

# Each is one token in four public tokenizers (cl100k, o200k, DeepSeek V3, Qwen 3), in any context
# except after a space.
_COMMON_CHINESE = (
    "一万三上下不与专业东两个中串为主么义之也书了事二于五些交产享京人亿今介从他付代以们件价任份企"
    "优会传但位体何余作你使例供価保信修倍值停像元先入全公共关其具内円册再写出击分列则初利别到制前"
    "力功加务动動包化北区十午华单南即历原去县参及友反发取变口只可台右号司合同名后向否含听启告员周"
    "命和品哈商問器四回因国图土在地场址型城基報場填增声处备复外多大天失头女好如始子字存学安宋完定"
    "实审客家容密对导将小少尔就局展山岁州工左已市布常平年并广序库应店度建开异式引张当录形影径待後"
    "得微心必志态思性总息您情意感成我或户所手打找技投报拉持指按换据排接推提播支收改放政效数整文料"
    "断新方族无日时明易星是時景更最月有服期木未本机权束条来板构析果查标样核格案检模次款止正此步歳"
    "段每比民気水求江汽没治法注活流海消清游源火点無然片版物特率环现球理生用由电男画界番登的监目直"
    "相省看県真知码确示社票私种科秒称移程稍税稿空立站章端笑符第等签简算管箱米类系素索约级线组经结"
    "给络统编网置美老考者而联能自至色节英藏行表装西要見见规视角解言計記話読计议记论设证评试话询该"
    "详语误说请读调象责败账货购费资起超路身车转软载辑输达过运近还这进连述退送选通速造連道邮部都配"
    "释里重量金钟钮链销错键长開間関门闭问间队阳陆限院除雅集雷需非面音页项预频题额首验高黑"
    "，。、？！：；“”（）《》"
)
# Common characters that are at most two tokens in all four.
_FAIRLY_COMMON_CHINESE = (
    "七丑且世严丽乎乐九习乡买乱争云互亮亲什仇仍令休众伤伯估似低住便促俄候做健充光克八六兴兵兽军农"
    "冬决冷净准凉减几函切划刚创删判刮勇勤医千半卖印却厂厚又双受古句另史叶吃各吵味响哥哭哲唱善喜喝"
    "园圆坐块境墙士夏夜够太奇奶她姐孩它宜害宽寒察寻射尖尽尾层居屋屏岛己师希带帽幕干幸庄床底康弟弯"
    "弱强归很律德忘忙快念怀怒怕怪恩恶惯想愤愿慧战戴房才扩扫批把护担拒择拼拿授描揭敌教敛敢斯旁旅早"
    "映春昨显晚晨普晴智暖暗暴曲曾朋望末术杂村杯松极林柜树桌桥棕森楼概欢歌死母气汇汉汗汤沙河油泪泼"
    "洗测济浏深温湖湿满漂演灯灰照爱父爸爽牙牛王班甜田白百盐盘眼着睡石硬碗神福离秋秘积究穿窄窗笔笨"
    "答筷篇粉粗粘精紧紫红纳练细绍绝继续综绿缩缺羊耳职聪肃肉股育舌舒舞船艺花苦茶草药获菜萄虎虫虽血"
    "街衣被裤观览觉警认让训讲许识诉词译诗诚谈贴贵贸赞走赶越趣跑跟跨跳轻辣边迎返远追适逃逻遍避那邻"
    "野钱银锅镇闹阴阵阻阿附陋陌降随隐难雨雪露静革鞋顶须顾领颜风飞香马黄龄龙"
)
# Each is one token in all four, after a space or at the start of a line.
_COMMON_WORDS = (
    "a add after again air all almost along also always an and animal another answer any are "
    "around as ask at back be because been before begin being below between big book both boy "
    "business but by call can car change city close code come company could data day did "
    "different do does don down during each earth end even every example eye face family far "
    "father few find first follow food for form found four from function get girl give go "
    "good got great group had hand hard has have he head help her here high his home house "
    "how i if important in information into is it its just kind know land language large last "
    "later left let letter life light like line list little live long look made make man many "
    "may me mean men message miss model more most mother move much must my name near need "
    "never new next night no not now number of off often old on once one only open or other "
    "our out over own page paper part picture place plant play point problem program put "
    "question read really right river run same say school sea see service set she show side "
    "since small so some something sometimes sound stop such system take tell text than that "
    "the then there they this time to too tree try turn two under up us use user using value "
    "walk want was watch water way we well were what when where which while white who why "
    "will with without word work world would write year you your "
)
# In at least one of the four these two letters are not one token.
_RARE_PAIR = re.compile(
    "b[qw]|f[jqz]|g[jkqvx]|h[jqx]|j[fgqvwxyz]|k[fqxz]|l[qwz]|m[hz]|n[qwz]|oq|pz|q[fgjkovyz]"
    "|r[jq]|sx|t[jq]|uq|v[jqxz]|w[jqvz]|x[ghjkqruvw]|y[fjqv]|z[gjqrv]"
)
_ONE_TOKEN = re.compile(f"(?<! )[{_COMMON_CHINESE}]+")
_TWO_TOKENS = re.compile(f"[{_FAIRLY_COMMON_CHINESE}]+")
_WORDS = frozenset(_COMMON_WORDS.split())
_WORD = re.compile(r"((?:^| )[A-Z]?[a-z]++(?![^\x00-\x7f]|\w))|( ?[a-z]+)", re.MULTILINE)


def estimate_tokens(text: str) -> int:
    """The most prompt tokens that one message can take.

    A tokenizer with byte fallback never takes more than one token per byte of UTF-8. The estimate
    is lower where four public tokenizers are known to take fewer: for the most common Chinese
    characters and English words, and for lower-case letters, two per token.
    """
    return _kept(text) if len(text) <= LONGEST_KEPT else _estimate(text)


def estimate_picture(width: int, height: int) -> int:
    """The most prompt tokens of a picture of this size that is sent with the detail `high`.

    Ark scales it to 2.26 million pixels and counts one token for 1,764 of them
    (docs/82379/1362931), with a fifth more because it rounds each side to whole pieces.
    """
    return min(width * height // 1470, MOST_OF_PICTURE) + PER_PICTURE


def _estimate(text: str) -> int:
    size = len(text.encode("utf-8", "surrogatepass"))
    saved = 2 * sum(map(len, _ONE_TOKEN.findall(text))) + sum(map(len, _TWO_TOKENS.findall(text)))
    saved += sum(_saved(whole, part) for whole, part in _WORD.findall(text))
    return size - saved + PER_MESSAGE


# Each question counts the whole history again, so most texts are in the cache.
_kept = functools.lru_cache(500)(_estimate)


@functools.lru_cache(10_000)
def _saved(whole: str, part: str) -> int:
    """How many fewer tokens than bytes a word takes; `part` is a word next to other letters."""
    word = whole.lstrip(" ")
    if word.lower() in _WORDS:
        return len(whole) - 1
    letters = part or (whole if word.islower() else word[1:])
    # If any two letters make a token, at most every third letter stays alone.
    return 0 if _RARE_PAIR.search(letters) else len(letters) // 3
