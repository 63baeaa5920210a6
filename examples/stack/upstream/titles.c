/* SPDX-License-Identifier: MIT */
/* Trending titles, made up: the same number always gives the same title. */
#include "upstream/titles.h"

#include <stddef.h>
#include <string.h>

enum { PARTS = 3, WORDS = 12 };

/* A title is one word of each part, with gap between. */
struct language {
	const char *region, *gap;
	const char *words[PARTS][WORDS];
};

/* Full-width, half-width and decomposed spellings are there on purpose. */
/* clang-format off */
static const struct language languages[] = {
	{ "JP", "", {
		{ "東京", "大阪", "京都", "札幌", "福岡", "沖縄",
		  "ＮＨＫ", "横浜", "名古屋", "北海道", "日本代表", "渋谷駅" },
		{ "の天気予報", "で地震速報", "の桜が満開", "新幹線", "プロ野球",
		  "アニメ新作", "ﾆｭｰｽ", "で花火大会", "ラーメン", "台風情報",
		  "サッカー", "映画祭" },
		{ "まとめ", "最新情報", "が話題に", "生中継", "決勝戦", "！",
		  "２０２６", "特集", "を公開", "で優勝", "発表", "動画" },
	} },
	{ "KR", " ", {
		{ "서울", "부산", "제주도", "대구", "인천", "광주",
		  "한국", "강남역", "대전", "수원", "국가대표", "홍대" },
		{ "날씨", "지진 속보", "벚꽃 축제", "지하철", "프로야구",
		  "신작 드라마", "뉴스", "불꽃축제", "김치", "태풍 정보",
		  "축구", "영화제" },
		{ "정리", "최신 소식", "화제", "생중계", "결승전", "공개!",
		  "２０２６", "특집", "콘서트", "우승", "발표", "영상" },
	} },
	{ "TW", "", {
		{ "台北", "高雄", "台中", "台南", "花蓮", "新竹",
		  "台灣", "西門町", "基隆", "宜蘭", "中華隊", "日月潭" },
		{ "天氣預報", "地震快訊", "櫻花季", "捷運", "職棒",
		  "新劇", "新聞", "跨年煙火", "夜市小吃", "颱風動態",
		  "足球賽", "金馬獎" },
		{ "懶人包", "最新消息", "掀話題", "直播", "冠軍戰", "！",
		  "２０２６", "專題", "曝光", "奪冠", "發表", "影片" },
	} },
	{ "VN", " ", {
		{ "Hà Nội", "Sài Gòn", "Đà Nẵng", "Huế", "Cần Thơ", "Hải Phòng",
		  "Việt Nam", "Đà Lạt", "Nha Trang", "Phú Quốc",
		  "Ha\u0300 No\u0323\u0302i", "Đội tuyển" },
		{ "dự báo thời tiết", "động đất", "lễ hội hoa", "tàu điện",
		  "bóng đá", "phim mới", "tin tức", "pháo hoa", "phở bò",
		  "bão số ba", "V-League", "liên hoan phim" },
		{ "tổng hợp", "mới nhất", "gây sốt", "trực tiếp", "chung kết",
		  "hôm nay!", "2026", "chuyên đề", "ra mắt", "vô địch",
		  "công bố", "video" },
	} },
	{ "TH", "", {
		{ "กรุงเทพ", "เชียงใหม่", "ภูเก็ต", "พัทยา", "ขอนแก่น", "หัวหิน",
		  "ประเทศไทย", "สยาม", "อยุธยา", "กระบี่", "ทีมชาติไทย", "สมุย" },
		{ "พยากรณ์อากาศ", "แผ่นดินไหว", "เทศกาลดอกไม้", "รถไฟฟ้า",
		  "ฟุตบอล", "ละครใหม่", "ข่าวด่วน", "ดอกไม้ไฟ", "ส้มตำ",
		  "น้ำท่วม", "มวยไทย", "เทศกาลหนัง" },
		{ "สรุป", "ล่าสุด", "เป็นกระแส", "ถ่ายทอดสด", "รอบชิง",
		  "วันนี้!", " 2026", "พิเศษ", "เปิดตัว", "คว้าแชมป์",
		  "ประกาศ", "คลิป" },
	} },
	{ "ID", " ", {
		{ "Jakarta", "Surabaya", "Bandung", "Bali", "Medan", "Yogyakarta",
		  "Indonesia", "Lombok", "Makassar", "Bogor", "Timnas", "Depok" },
		{ "prakiraan cuaca", "gempa bumi", "festival bunga",
		  "kereta cepat", "sepak bola", "film baru", "berita",
		  "kembang api", "nasi goreng", "banjir", "bulu tangkis",
		  "festival film" },
		{ "rangkuman", "terbaru", "jadi viral", "siaran langsung",
		  "final", "hari ini!", "2026", "khusus", "dirilis", "juara",
		  "diumumkan", "video" },
	} },
	{ "PH", " ", {
		{ "Manila", "Cebu", "Davao", "Quezon", "Baguio", "Iloilo",
		  "Pilipinas", "Boracay", "Makati", "Palawan", "Gilas",
		  "Parañaque" },
		{ "lagay ng panahon", "lindol", "pista ng bulaklak", "tren",
		  "basketbol", "bagong pelikula", "balita", "paputok",
		  "adobo", "bagyo", "boksing", "film festival" },
		{ "buod", "pinakabago", "usap-usapan", "live", "finals",
		  "ngayon!", "2026", "espesyal", "inilabas", "kampeon",
		  "inanunsyo", "video" },
	} },
	{ "SG", " ", {
		{ "Singapore", "Changi", "Marina Bay", "Orchard Road", "Sentosa",
		  "Jurong", "Bedok", "Tampines", "MRT", "Kallang", "Team SG",
		  "Woodlands" },
		{ "weather", "haze alert", "flower festival", "train line",
		  "football", "new drama", "news", "fireworks",
		  "chicken rice", "flash floods", "swimming",
		  "film festival" },
		{ "explained", "latest", "goes viral", "live", "finals",
		  "today!", "2026", "special", "launched", "wins gold",
		  "announced", "café" },
	} },
};
/* clang-format on */

int titles_region(const char *name)
{
	for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++)
		if (strcmp(languages[i].region, name) == 0)
			return (int)i;
	return -1;
}

/* Neighbouring numbers give results that have nothing in common. */
static uint64_t scatter(uint64_t n)
{
	n += 0x9e3779b97f4a7c15u;
	n = (n ^ n >> 30) * 0xbf58476d1ce4e5b9u;
	n = (n ^ n >> 27) * 0x94d049bb133111ebu;
	return n ^ n >> 31;
}

void titles_put(FILE *out, int region, int64_t seq)
{
	const struct language *l = &languages[region];
	uint64_t random = scatter((uint64_t)seq * 8 + (uint64_t)region);

	for (size_t part = 0; part < PARTS; part++) {
		fprintf(out, "%s%s", part ? l->gap : "",
			l->words[part][random % WORDS]);
		random /= WORDS;
	}
}
